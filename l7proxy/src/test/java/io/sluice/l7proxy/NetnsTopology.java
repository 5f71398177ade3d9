package io.sluice.l7proxy;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * Three namespaces in a row: client, proxy, server. Whatever arrives in the middle one is delivered
 * there, for every address: what the switch's redirect does, without its change of ports.
 */
public final class NetnsTopology implements AutoCloseable {
    private static final int O_RDONLY = 0;
    private static final int CLONE_NEWNET = 0x40000000;

    private final String prefix = "sluice-t-" + ProcessHandle.current().pid() + "-l7";
    private final List<Process> processes = new ArrayList<>();

    public NetnsTopology() throws IOException, InterruptedException {
        try {
            for (final String name : List.of("c", "p", "s")) {
                ip("netns", "add", prefix + name);
                ip("-n", prefix + name, "link", "set", "lo", "up");
            }
            join("c", "1");
            join("s", "2");
            for (final String family : List.of("-4", "-6")) {
                ip(
                        "-n",
                        prefix + "p",
                        family,
                        "route",
                        "add",
                        "local",
                        "default",
                        "dev",
                        "lo",
                        "table",
                        "100");
                for (final String end : List.of("c", "s")) {
                    ip(
                            "-n",
                            prefix + "p",
                            family,
                            "rule",
                            "add",
                            "iif",
                            end + "0",
                            "lookup",
                            "100");
                }
            }
        } catch (final IOException e) {
            close();
            throw e;
        }
    }

    private void join(final String end, final String net) throws IOException, InterruptedException {
        ip(
                "link",
                "add",
                end + "0",
                "netns",
                prefix + "p",
                "type",
                "veth",
                "peer",
                "name",
                "eth0",
                "netns",
                prefix + end);
        final String v4 = "10.77." + net + ".";
        final String v6 = "fd77:" + net + "::";
        for (final String[] place : new String[][] {{"p", end + "0", "1"}, {end, "eth0", "2"}}) {
            final String namespace = prefix + place[0];
            ip("-n", namespace, "link", "set", place[1], "up");
            ip("-n", namespace, "addr", "add", v4 + place[2] + "/24", "dev", place[1]);
            ip("-n", namespace, "addr", "add", v6 + place[2] + "/64", "dev", place[1], "nodad");
        }
        ip("-n", prefix + end, "route", "add", "default", "via", v4 + "1");
        ip("-n", prefix + end, "-6", "route", "add", "default", "via", v6 + "1");
    }

    private static void ip(final String... arguments) throws IOException, InterruptedException {
        final Process ip =
                new ProcessBuilder(Stream.concat(Stream.of("ip"), Stream.of(arguments)).toList())
                        .redirectErrorStream(true)
                        .start();
        final String said = new String(ip.getInputStream().readAllBytes(), UTF_8);
        if (ip.waitFor() != 0) {
            throw new IOException(String.join(" ", arguments) + ": " + said);
        }
    }

    public static InetAddress client(final boolean isV6) {
        return InetAddress.ofLiteral(isV6 ? "fd77:1::2" : "10.77.1.2");
    }

    public static InetAddress server(final boolean isV6) {
        return InetAddress.ofLiteral(isV6 ? "fd77:2::2" : "10.77.2.2");
    }

    /** The command that enters the server's namespace. */
    public List<String> inServer() {
        return List.of("ip", "netns", "exec", prefix + "s");
    }

    /** What a program prints that runs in the client's namespace; its errors come with it. */
    public String runInClient(final String... command) throws IOException, InterruptedException {
        final Process process =
                new ProcessBuilder(
                                Stream.concat(
                                                Stream.of("ip", "netns", "exec", prefix + "c"),
                                                Stream.of(command))
                                        .toList())
                        .redirectErrorStream(true)
                        .start();
        final String output = new String(process.getInputStream().readAllBytes(), UTF_8);
        process.waitFor();
        return output;
    }

    /** Starts a program in the server's namespace; it ends with this. */
    public Process startInServer(final String... command) throws IOException {
        final Process process =
                new ProcessBuilder(Stream.concat(inServer().stream(), Stream.of(command)).toList())
                        .redirectErrorStream(true)
                        .start();
        processes.add(process);
        return process;
    }

    /** Moves the calling thread into the proxy's namespace, for good. */
    public void enterProxy() {
        final Linker linker = Linker.nativeLinker();
        try (Arena arena = Arena.ofConfined()) {
            final MethodHandle open =
                    linker.downcallHandle(
                            linker.defaultLookup().findOrThrow("open"),
                            FunctionDescriptor.of(
                                    ValueLayout.JAVA_INT,
                                    ValueLayout.ADDRESS,
                                    ValueLayout.JAVA_INT),
                            Linker.Option.firstVariadicArg(2));
            final MethodHandle setns = intsToInt(linker, "setns", 2);
            final MethodHandle closeFd = intsToInt(linker, "close", 1);
            final int fd =
                    (int) open.invoke(arena.allocateFrom("/run/netns/" + prefix + "p"), O_RDONLY);
            final int entered = (int) setns.invoke(fd, CLONE_NEWNET);
            final int closed = (int) closeFd.invoke(fd);
            if (entered != 0 || closed != 0) {
                throw new IllegalStateException("setns failed: run as root");
            }
        } catch (final Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    private static MethodHandle intsToInt(
            final Linker linker, final String name, final int arguments) {
        final ValueLayout[] layouts = new ValueLayout[arguments];
        java.util.Arrays.fill(layouts, ValueLayout.JAVA_INT);
        return linker.downcallHandle(
                linker.defaultLookup().findOrThrow(name),
                FunctionDescriptor.of(ValueLayout.JAVA_INT, layouts));
    }

    @Override
    public void close() throws IOException {
        for (final Process process : processes) {
            process.destroyForcibly().onExit().join();
        }
        for (final String name : List.of("c", "p", "s")) {
            new ProcessBuilder("ip", "netns", "del", prefix + name)
                    .redirectErrorStream(true)
                    .start()
                    .onExit()
                    .join();
        }
    }
}
