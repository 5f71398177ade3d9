package io.sluice.dataplane.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Real sockets and real descriptors. */
final class DescriptorSocketTest {
    private static final int TIMEOUT_MS = 10_000;

    @TempDir Path folder;

    private record Pair(DescriptorSocket one, DescriptorSocket other) implements AutoCloseable {
        @Override
        public void close() {
            one.close();
            other.close();
        }
    }

    private Pair connected() {
        try (DescriptorSocket listener = DescriptorSocket.listen(folder.resolve("s"))) {
            final DescriptorSocket one =
                    DescriptorSocket.connect(folder.resolve("s")).orElseThrow();
            return new Pair(one, listener.accept().orElseThrow());
        }
    }

    @Test
    void aDescriptorThatIsPassedIsTheSameOpenFile() {
        try (Pair pair = connected();
                Arena arena = Arena.ofConfined()) {
            final int counter = Libc.eventfd(Libc.O_NONBLOCK);
            pair.one().send("{\"a\":\"é\"}", List.of(counter));
            final DescriptorSocket.Message message = pair.other().receive(TIMEOUT_MS).orElseThrow();
            assertThat(message.text()).isEqualTo("{\"a\":\"é\"}");
            final int passed = message.descriptors().getFirst();
            assertThat(passed).isNotEqualTo(counter);

            final MemorySegment number = arena.allocateFrom(ValueLayout.JAVA_LONG, 42);
            assertThat(Libc.write(passed, number.address(), Long.BYTES)).isEqualTo(Long.BYTES);
            final MemorySegment read = arena.allocate(ValueLayout.JAVA_LONG);
            assertThat(Libc.read(counter, read.address(), Long.BYTES)).isEqualTo(Long.BYTES);
            assertThat(read.get(ValueLayout.JAVA_LONG, 0)).isEqualTo(42);
            Libc.close(passed);
            Libc.close(counter);
        }
    }

    @Test
    void messagesKeepTheirBoundariesAndOrder() {
        try (Pair pair = connected()) {
            final String longest = "x".repeat(DescriptorSocket.TEXT_BYTES_MAX);
            pair.one().send("first", List.of());
            pair.one().send(longest, List.of());
            assertThat(pair.other().receive(TIMEOUT_MS).orElseThrow().text()).isEqualTo("first");
            assertThat(pair.other().receive(TIMEOUT_MS).orElseThrow().text()).isEqualTo(longest);
        }
    }

    @Test
    void theMostDescriptorsThatAMessageTakesAllArrive() {
        try (Pair pair = connected()) {
            final List<Integer> counters = new ArrayList<>();
            for (int i = 0; i < DescriptorSocket.DESCRIPTORS_MAX; i++) {
                counters.add(Libc.eventfd(0));
            }
            pair.one().send("all", counters);
            final List<Integer> passed =
                    pair.other().receive(TIMEOUT_MS).orElseThrow().descriptors();
            assertThat(passed).hasSameSizeAs(counters).doesNotHaveDuplicates();
            passed.forEach(Libc::close);
            counters.forEach(Libc::close);
        }
    }

    @Test
    void aPeerThatClosedIsTheEnd() {
        try (Pair pair = connected()) {
            pair.other().close();
            assertThat(pair.one().receive(TIMEOUT_MS)).isEmpty();
            assertThatThrownBy(() -> pair.one().send("more", List.of()))
                    .isInstanceOf(LinuxException.class)
                    .hasMessageContaining("EPIPE");
        }
    }

    @Test
    void silenceEndsWithTheTimeout() {
        try (Pair pair = connected()) {
            assertThatThrownBy(() -> pair.one().receive(1))
                    .isInstanceOf(LinuxException.class)
                    .hasMessageContaining("no message within 1 ms");
        }
    }

    @Test
    void whereNobodyListensNobodyIsThere() {
        assertThat(DescriptorSocket.connect(folder.resolve("none"))).isEmpty();
        DescriptorSocket.listen(folder.resolve("left")).close();
        assertThat(DescriptorSocket.connect(folder.resolve("left"))).isEmpty();
    }

    @Test
    void closingEndsTheWaitForAConnection() throws InterruptedException, ExecutionException {
        final DescriptorSocket listener = DescriptorSocket.listen(folder.resolve("s"));
        final var waiting = CompletableFuture.supplyAsync(listener::accept);
        listener.close();
        assertThat(waiting.get()).isEmpty();
    }

    @Test
    void aPathThatIsTooLongOrTakenIsRefused() {
        assertThatThrownBy(() -> DescriptorSocket.listen(folder.resolve("x".repeat(108))))
                .isInstanceOf(LinuxException.class)
                .hasMessageContaining("at most 107 bytes");
        try (DescriptorSocket _ = DescriptorSocket.listen(folder.resolve("s"))) {
            assertThatThrownBy(() -> DescriptorSocket.listen(folder.resolve("s")))
                    .hasMessageContaining("EADDRINUSE");
        }
    }
}
