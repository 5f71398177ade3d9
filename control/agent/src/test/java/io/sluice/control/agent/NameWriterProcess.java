package io.sluice.control.agent;

import io.sluice.control.agent.state.StateStore;
import io.sluice.dnsproxy.cache.FqdnCache;
import io.sluice.dnsproxy.cache.FqdnLimits;
import io.sluice.dnsproxy.rule.NamePattern;
import io.sluice.dnsproxy.rule.NamePatternIndex;
import io.sluice.dnsproxy.wire.Address;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;

/**
 * A process that learns names and forgets two of three again, through cache and store as the daemon
 * does, until it is killed; it says what is done.
 */
final class NameWriterProcess {
    private static final int NAMES_PER_ENDPOINT = 1_000;
    private static final long NOW_MS = 1_795_000_000_000L;

    private NameWriterProcess() {}

    static String name(final int number) {
        return "name-" + number + ".example.com.";
    }

    static String endpoint(final int number) {
        return "shop/pod-" + number / NAMES_PER_ENDPOINT;
    }

    static Address address(final int number) {
        return new Address(0x2001_0db8_0000_0000L, number);
    }

    static FqdnCache cache(final StateStore store) {
        return new FqdnCache(
                FqdnLimits.DEFAULT, (_, _) -> false, new NameStore(store.names()), _ -> {});
    }

    /** Arguments: folder, number of the first name. */
    public static void main(final String... arguments) throws Exception {
        final StateStore store = StateStore.open(Path.of(arguments[0]), Clock.systemUTC());
        store.problems().forEach(problem -> System.out.println("problem " + problem));
        final FqdnCache cache = cache(store);
        cache.restore();
        for (int number = Integer.parseInt(arguments[1]); ; number++) {
            cache.learn(endpoint(number), name(number), List.of(address(number)), 3_600, NOW_MS);
            System.out.println("learned " + number);
            if (number % 3 != 0) {
                cache.clean(
                        endpoint(number),
                        NamePatternIndex.of(List.of(NamePattern.parse(name(number)))));
                System.out.println("forgot " + number);
            }
        }
    }

    static Process start(final Path folder, final int first) throws IOException {
        return new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "@" + Path.of("../../scripts/jvm.args").toRealPath(),
                        "-XX:+UseSerialGC",
                        "-XX:TieredStopAtLevel=1",
                        "-cp",
                        System.getProperty(
                                "surefire.test.class.path", System.getProperty("java.class.path")),
                        NameWriterProcess.class.getName(),
                        folder.toString(),
                        Integer.toString(first))
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
    }
}
