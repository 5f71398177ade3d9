package io.sluice.control.agent.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Listings that are never in memory as a whole. */
final class ListStreamTest {
    private static String whole(final ListStream<?> stream) {
        final StringBuilder text = new StringBuilder();
        for (String piece = stream.next(); piece != null; piece = stream.next()) {
            text.append(piece);
        }
        return text.toString();
    }

    @Test
    void thePiecesMakeTheListThatOnePageWouldBe() {
        final List<Integer> many = IntStream.range(0, 100_000).boxed().toList();

        assertThat(whole(ListStream.array(many.iterator()))).isEqualTo(ApiJson.write(many));
        assertThat(whole(ListStream.array(List.of(1).iterator()))).isEqualTo("[1]");
        assertThat(whole(ListStream.array(List.of().iterator()))).isEqualTo("[]");
    }

    @Test
    void anItemIsWrittenNoEarlierThanItsPieceIsAskedFor() {
        final AtomicInteger taken = new AtomicInteger();
        final String item = "x".repeat(1000);
        final ListStream<String> stream =
                ListStream.array(
                        Stream.generate(() -> item)
                                .limit(10_000)
                                .peek(one -> taken.incrementAndGet())
                                .iterator());

        final String piece = stream.next();

        assertThat(piece).hasSizeLessThan(ListStream.PIECE_CHARS + 2000);
        // The iterator of a stream looks one item ahead.
        assertThat(taken.get()).isLessThan(ListStream.PIECE_CHARS / 1000 + 3);
    }
}
