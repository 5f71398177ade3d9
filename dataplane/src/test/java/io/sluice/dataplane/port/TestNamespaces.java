package io.sluice.dataplane.port;

import io.sluice.dataplane.linux.IpCommand;
import io.sluice.dataplane.linux.NetworkNamespace;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

/** Namespaces of one test, removed at its end together with the processes started in them. */
public final class TestNamespaces implements AutoCloseable {
    private final Deque<String> names = new ArrayDeque<>();
    private final Deque<Process> processes = new ArrayDeque<>();

    public NetworkNamespace add(final String suffix) {
        final String name = "sluice-t-" + ProcessHandle.current().pid() + "-" + suffix;
        IpCommand.here().query("netns", "add", name);
        names.push(name);
        return NetworkNamespace.named(name);
    }

    public void remove(final NetworkNamespace namespace) {
        IpCommand.here().query("netns", "del", namespace.toString());
        names.remove(namespace.toString());
    }

    /** Starts a program inside; its errors join its output. */
    public Process start(final NetworkNamespace namespace, final String... command)
            throws IOException {
        final List<String> line = new ArrayList<>(List.of("nsenter", "--net=" + namespace.path()));
        line.addAll(List.of(command));
        final Process process = new ProcessBuilder(line).redirectErrorStream(true).start();
        processes.push(process);
        return process;
    }

    /** Everything a program prints until it ends. */
    public static String outputOf(final Process process) throws IOException {
        return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    }

    @Override
    public void close() {
        processes.forEach(Process::destroyForcibly);
        while (!names.isEmpty()) {
            IpCommand.here().query("netns", "del", names.pop());
        }
    }
}
