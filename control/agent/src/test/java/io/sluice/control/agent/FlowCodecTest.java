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
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.RepetitionInfo;
import org.junit.jupiter.api.Test;

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
