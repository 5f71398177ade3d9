package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.control.agent.SideCondition.End;
import io.sluice.dataplane.FlowEnd;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.function.Predicate;
import java.util.zip.CRC32;
import org.agrona.collections.LongHashSet;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.RepetitionInfo;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FlowCodecTest {
    private static final Instant MORNING = Instant.parse("2026-03-01T08:00:00.25Z");

    /** Two flows of {@link Flows#at}, as the encoder of before there were ends wrote them. */
    private static final String FORMAT_1 =
            """
            010a000475756964046e6f64650473686f700161096b38733a6170703d610831\
            302e302e302e310162096b38733a6170703d620831302e302e302e3202018004\
            03040105060000028204030701080900000100020a80c89f9a0d80e59a770201\
            0205110000040602010100c0b80201500200003c00020280e59a770201020511\
            0000040602010100c0b80201500000003c00\
            """;

    @RepeatedTest(20)
    void whatIsEncodedIsDecoded(final RepetitionInfo repetition) throws Exception {
        final List<Flow> flows = flows(new Random(repetition.getCurrentRepetition()));

        assertThat(FlowCodec.decode(FlowCodec.encode(flows))).isEqualTo(flows);
    }

    @RepeatedTest(20)
    void conditionsOfSidesLeaveOutWhatDoesNotMeetThem(final RepetitionInfo repetition)
            throws Exception {
        final List<Flow> flows = flows(new Random(repetition.getCurrentRepetition()));
        final byte[] block = FlowCodec.encode(flows);
        final SideCondition from =
                new SideCondition(End.SOURCE, side -> side.namespace().equals("ns1"));
        final SideCondition to = new SideCondition(End.DESTINATION, side -> side.identity() > 260);
        final SideCondition any =
                new SideCondition(End.EITHER, side -> side.address().equals("10.0.0.3"));
        final SideCondition none = new SideCondition(End.EITHER, side -> side.port() != 0);

        assertThat(FlowCodec.decode(block, List.of(from)))
                .isEqualTo(only(flows, flow -> flow.source().namespace().equals("ns1")));
        assertThat(FlowCodec.decode(block, List.of(from, to)))
                .isEqualTo(
                        only(
                                flows,
                                flow ->
                                        flow.source().namespace().equals("ns1")
                                                && flow.destination().identity() > 260));
        assertThat(FlowCodec.decode(block, List.of(any)))
                .isEqualTo(
                        only(
                                flows,
                                flow ->
                                        flow.source().address().equals("10.0.0.3")
                                                || flow.destination()
                                                        .address()
                                                        .equals("10.0.0.3")));
        assertThat(FlowCodec.decode(block, List.of(any, none))).isEmpty();
    }

    private static List<Flow> only(final List<Flow> flows, final Predicate<Flow> wanted) {
        return flows.stream().filter(wanted).toList();
    }

    /**
     * Length and CRC of blocks, number and sum of their keys, as they were before sides were kept.
     */
    @ParameterizedTest
    @CsvSource({
        "1, 548108, 05907bd9, 3697, 5a0334b5a3f42abc",
        "2, 544810, a5ef4936, 3694, c3f2702d9c34166b",
        "3, 544546, bded21e2, 3630, d249cbc14a5679e6"
    })
    void aBlockHasTheBytesAndKeysThatItAlwaysHad(
            final long seed,
            final int bytes,
            final String crc,
            final int keyCount,
            final String keySum) {
        final Random random = new Random(seed);
        final List<Flow> flows = new ArrayList<>();
        for (int i = 0; i < 5_000; i++) {
            flows.add(RandomFlows.next(random, i, Instant.EPOCH));
        }
        final List<FlowSide> sides = new ArrayList<>();
        final byte[] block = FlowCodec.encode(flows, sides);
        final CRC32 checksum = new CRC32();
        checksum.update(block);
        final LongHashSet keys = FlowKeys.of(flows, sides);
        long sum = 0;
        final LongHashSet.LongIterator iterator = keys.iterator();
        while (iterator.hasNext()) {
            sum += iterator.nextValue();
        }

        assertThat(block).hasSize(bytes);
        assertThat(checksum.getValue()).isEqualTo(Long.parseLong(crc, 16));
        assertThat(keys).hasSize(keyCount);
        assertThat(sum).isEqualTo(Long.parseUnsignedLong(keySum, 16));
    }

    @Test
    void sidesThatAreEqualAreOnceInABlock() {
        final List<FlowSide> sides = new ArrayList<>();
        FlowCodec.encode(List.of(Flows.withSequence(1), Flows.withSequence(2)), sides);

        assertThat(sides).extracting(FlowSide::address).containsExactly("10.0.0.1", "10.0.0.2");
    }

    @Test
    void aTextThatIsNoUuidIsKeptAsItIs() throws Exception {
        final List<Flow> flows = List.of(Flows.withSequence(5), Flows.withSequence(3));

        assertThat(FlowCodec.decode(FlowCodec.encode(flows))).isEqualTo(flows);
    }

    /** A checksum stands before it; what comes through is refused, and ends in time. */
    @RepeatedTest(20)
    void bytesThatAreNoFlowsAreRefusedOrRead(final RepetitionInfo repetition) throws Exception {
        final Random random = new Random(repetition.getCurrentRepetition());
        final byte[] block = FlowCodec.encode(flows(random));
        for (int i = 0; i < 100; i++) {
            final byte[] hurt = Arrays.copyOf(block, random.nextInt(block.length) + 1);
            hurt[random.nextInt(hurt.length)] = (byte) random.nextInt();
            try {
                assertThat(FlowCodec.decode(hurt)).isNotNull();
            } catch (final FlowCodec.FormatException e) {
                assertThat(e.getMessage()).isNotEmpty();
            }
        }
    }

    @Test
    void anotherFormatIsRefused() {
        assertThatThrownBy(() -> FlowCodec.decode(new byte[] {3, 0, 0, 0, 0}))
                .isInstanceOf(FlowCodec.FormatException.class)
                .hasMessage("flows of format 3");
    }

    @Test
    void aBlockOfTheFormatBeforeIsRead() throws Exception {
        assertThat(FlowCodec.decode(HexFormat.of().parseHex(FORMAT_1)))
                .isEqualTo(List.of(Flows.at(5, MORNING), Flows.at(6, MORNING.plusSeconds(1))));
    }

    @Test
    void endsOfFlowsAreKeptWithAllTheirNumbers() throws Exception {
        final List<Flow> flows = new ArrayList<>();
        for (final FlowEnd end : FlowEnd.values()) {
            flows.add(Flows.ended(flows.size(), MORNING, end));
        }

        assertThat(FlowCodec.decode(FlowCodec.encode(flows))).isEqualTo(flows);
    }

    private static List<Flow> flows(final Random random) {
        final List<Flow> flows = new ArrayList<>();
        for (int i = random.nextInt(500) + 1; i > 0; i--) {
            flows.add(
                    RandomFlows.next(
                            random,
                            random.nextInt(10) == 0 ? random.nextInt() : 1_000 - i,
                            Instant.EPOCH));
        }
        return flows;
    }
}
