package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.control.agent.L7Message.Header;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What flows tell of requests, setting by setting. */
final class FlowRedactionTest {
    private static final FlowRedaction ENABLED =
            new FlowRedaction(true, false, true, false, Set.of(), Set.of());

    private static L7Message http(final String url, final Header... headers) {
        return new L7Message(
                true, 0, new L7Message.Http("HTTP/1.1", "GET", url, 0, List.of(headers)));
    }

    private static String url(final FlowRedaction redaction, final String url) {
        return ((L7Message.Http) redaction.redact(http(url)).content()).url();
    }

    private static List<String> headers(final FlowRedaction redaction, final Header... headers) {
        return ((L7Message.Http) redaction.redact(http("", headers)).content())
                .headers().stream().map(header -> header.key() + "=" + header.value()).toList();
    }

    @Test
    void nothingIsRedactedUnlessItIsEnabled() {
        final L7Message message = http("http://u:p@h/?q", new Header("X-Token", "t"));
        assertThat(FlowRedaction.DEFAULTS.redact(message)).isEqualTo(message);
        assertThat(
                        new FlowRedaction(false, true, true, true, Set.of(), Set.of("x-token"))
                                .redact(message))
                .isEqualTo(message);
    }

    @ParameterizedTest
    @CsvSource({
        "http://user:secret@shop:80/a, http://user:HUBBLE_REDACTED@shop:80/a",
        "http://user:s@e:cret@shop/a, http://user:HUBBLE_REDACTED@shop/a",
        "http://user:@shop, http://user:HUBBLE_REDACTED@shop",
        "http://user@shop:80/a, http://user@shop:80/a",
        "http://shop:80/a, http://shop:80/a",
        "http://shop/to=http://u:p@x, http://shop/to=http://u:p@x",
        "http://shop?to=u:p@x, http://shop?to=u:p@x",
        "/only:a@path, /only:a@path",
        "'', ''",
    })
    void aPasswordInAUrlIsRedacted(final String sent, final String told) {
        assertThat(url(ENABLED, sent)).isEqualTo(told);
    }

    @Test
    void theQueryIsLeftOutWhereAsked() {
        final FlowRedaction query = new FlowRedaction(true, true, false, false, Set.of(), Set.of());
        assertThat(url(query, "http://u:p@shop/a?token=1?2")).isEqualTo("http://u:p@shop/a");
        assertThat(url(ENABLED, "http://shop/a?token=1")).isEqualTo("http://shop/a?token=1");
    }

    @Test
    void headersAreRedactedAllOrByOneList() {
        final Header[] headers = {new Header("X-Team", "a"), new Header("X-Token", "t")};
        assertThat(headers(ENABLED, headers))
                .containsExactly("X-Team=HUBBLE_REDACTED", "X-Token=HUBBLE_REDACTED");
        assertThat(
                        headers(
                                new FlowRedaction(
                                        true, false, true, false, Set.of("x-team"), Set.of()),
                                headers))
                .containsExactly("X-Team=a", "X-Token=HUBBLE_REDACTED");
        assertThat(
                        headers(
                                new FlowRedaction(
                                        true, false, true, false, Set.of(), Set.of("x-token")),
                                headers))
                .containsExactly("X-Team=a", "X-Token=HUBBLE_REDACTED");
        assertThatThrownBy(
                        () -> new FlowRedaction(true, false, true, false, Set.of("a"), Set.of("b")))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void theApiOfAKafkaRequestIsRedactedWhereAsked() {
        final L7Message message =
                new L7Message(true, 0, new L7Message.Kafka(0, 9, "produce", 5, "orders"));
        assertThat(ENABLED.redact(message)).isEqualTo(message);
        assertThat(
                        new FlowRedaction(true, false, true, true, Set.of(), Set.of())
                                .redact(message)
                                .content())
                .isEqualTo(new L7Message.Kafka(0, 9, "HUBBLE_REDACTED", 5, "orders"));
    }

    @Test
    void namesAndServerNamesAreTold() {
        for (final L7Message.Content content :
                List.of(
                        new L7Message.Dns("a.example.", "A", 0, List.of(), List.of(), 0),
                        new L7Message.Tls("a.example"))) {
            final L7Message message = new L7Message(true, 0, content);
            assertThat(ENABLED.redact(message)).isEqualTo(message);
        }
    }
}
