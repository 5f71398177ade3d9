package io.sluice.control.agent.state;

import io.sluice.control.agent.state.StateStore.Publication;
import io.sluice.control.policy.Cidr;
import io.sluice.control.policy.IpAddress;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/** A process that writes to a state folder until it is killed, and says what is written. */
final class StateWriterProcess {
    private StateWriterProcess() {}

    static String facts(final int number) {
        return "pod\nlabel\tk8s:app\tpeer-" + number;
    }

    /** Arguments: folder, first number, numbers to write. */
    public static void main(final String... arguments) throws StateException, IOException {
        final int first = Integer.parseInt(arguments[1]);
        final int count = Integer.parseInt(arguments[2]);
        final StateStore store = StateStore.open(Path.of(arguments[0]), Clock.systemUTC());
        store.problems().forEach(problem -> System.out.println("problem " + problem));
        System.out.println("open " + store.identities().recall().size());
        final List<PrefixRow> prefixes = new ArrayList<>();
        for (int number = first; number < first + count; number++) {
            store.identities().remember(facts(number), number);
            store.names().learn(name(number));
            prefixes.add(prefix(number));
            final List<PrefixRow> published = List.copyOf(prefixes);
            store.published(() -> new Publication(List.of(), published));
            System.out.println("wrote " + number);
        }
        store.close();
        System.out.println("closed");
    }

    static NameRow name(final int number) {
        return new NameRow(
                "name-" + number + ".example.",
                IpAddress.ofIpv4(number),
                "shop/web",
                Instant.ofEpochMilli(number),
                Instant.ofEpochMilli(number + 1L),
                false);
    }

    static PrefixRow prefix(final int number) {
        return new PrefixRow(
                Cidr.host(IpAddress.ofIpv4(number)), number, PrefixRow.Source.OBJECTS, "");
    }

    /** Starts it, after the words of a wrapper. */
    static Process start(
            final List<String> wrapper, final Path folder, final int first, final int count)
            throws IOException {
        final List<String> command = new ArrayList<>(wrapper);
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.add("@" + Path.of("../../scripts/jvm.args").toRealPath());
        command.addAll(
                List.of(
                        "-XX:+UseSerialGC",
                        "-XX:TieredStopAtLevel=1",
                        "-XX:-CreateCoredumpOnCrash",
                        "-XX:ErrorFile=" + folder.resolve("hs_err.log"),
                        "-cp",
                        System.getProperty(
                                "surefire.test.class.path", System.getProperty("java.class.path")),
                        StateWriterProcess.class.getName(),
                        folder.toString(),
                        Integer.toString(first),
                        Integer.toString(count)));
        return new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
    }
}
