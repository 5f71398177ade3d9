package io.sluice.dnsproxy.resolver;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.xbill.DNS.DClass;
import org.xbill.DNS.Flags;
import org.xbill.DNS.Message;
import org.xbill.DNS.Name;
import org.xbill.DNS.Rcode;
import org.xbill.DNS.Record;
import org.xbill.DNS.Section;
import org.xbill.DNS.Type;

/** How long answers are kept, and with which times they leave. */
final class AnswerCacheTest {
    private final AnswerCache cache = new AnswerCache();

    private static Name name(final String text) throws IOException {
        return Name.fromString(text);
    }

    private static AnswerCache.Key key(final String text) throws IOException {
        return new AnswerCache.Key(name(text), Type.A, false, false);
    }

    private static Message answer(final int rcode) throws IOException {
        final Message answer = new Message(1);
        answer.getHeader().setFlag(Flags.QR);
        answer.getHeader().setRcode(rcode);
        answer.addRecord(
                Record.newRecord(name("www.example.com."), Type.A, DClass.IN), Section.QUESTION);
        return answer;
    }

    private static void add(
            final Message answer,
            final int section,
            final String owner,
            final int type,
            final long ttl,
            final String data)
            throws IOException {
        answer.addRecord(
                Record.fromString(name(owner), type, DClass.IN, ttl, data, Name.root), section);
    }

    @Test
    void timesAreCountedDownAndTheLeastOneEndsIt() throws IOException {
        final Message answer = answer(Rcode.NOERROR);
        add(answer, Section.ANSWER, "www.example.com.", Type.CNAME, 300, "x.example.com.");
        add(answer, Section.ANSWER, "x.example.com.", Type.A, 60, "192.0.2.1");
        cache.put(key("www.example.com."), answer, 1_000);
        final Message kept =
                Objects.requireNonNull(cache.get(key("WWW.example.COM."), 1_000 + 59_999));
        assertThat(kept.getSection(Section.ANSWER))
                .extracting(Record::getTTL)
                .containsExactly(241L, 1L);
        assertThat(kept.getSection(Section.ANSWER))
                .extracting(Record::rdataToString)
                .containsExactly("x.example.com.", "192.0.2.1");
        assertThat(answer.getSection(Section.ANSWER).getLast().getTTL()).isEqualTo(60);
        assertThat(cache.get(key("www.example.com."), 61_000)).isNull();
        assertThat(cache.size()).isZero();
    }

    @Test
    void noSuchNameIsKeptAsLongAsItsZoneSays() throws IOException {
        for (final int rcode : new int[] {Rcode.NXDOMAIN, Rcode.NOERROR}) {
            final Message answer = answer(rcode);
            add(answer, Section.AUTHORITY, "example.com.", Type.SOA, 900, "a. b. 1 2 3 4 30");
            cache.put(key("www.example.com."), answer, 0);
            assertThat(
                            Objects.requireNonNull(cache.get(key("www.example.com."), 29_999))
                                    .getRcode())
                    .isEqualTo(rcode);
            assertThat(cache.get(key("www.example.com."), 30_000)).isNull();
        }
    }

    @Test
    void whatMustNotBeKeptIsNot() throws IOException {
        cache.put(key("www.example.com."), answer(Rcode.NXDOMAIN), 0);
        cache.put(key("www.example.com."), answer(Rcode.SERVFAIL), 0);
        final Message zero = answer(Rcode.NOERROR);
        add(zero, Section.ANSWER, "www.example.com.", Type.A, 0, "192.0.2.1");
        cache.put(key("www.example.com."), zero, 0);
        final Message cut = answer(Rcode.NOERROR);
        add(cut, Section.ANSWER, "www.example.com.", Type.A, 60, "192.0.2.1");
        cut.getHeader().setFlag(Flags.TC);
        cache.put(key("www.example.com."), cut, 0);
        assertThat(cache.size()).isZero();
    }

    @Test
    void theOneLeastRecentlyUsedGoesFirst() throws IOException {
        for (int i = 0; i <= AnswerCache.ENTRIES_MAX; i++) {
            final Message answer = answer(Rcode.NOERROR);
            add(answer, Section.ANSWER, "www.example.com.", Type.A, 60, "192.0.2.1");
            cache.put(key("n" + i + ".example.com."), answer, 0);
            assertThat(cache.get(key("n0.example.com."), 0)).isNotNull();
        }
        assertThat(cache.size()).isEqualTo(AnswerCache.ENTRIES_MAX);
        assertThat(cache.get(key("n1.example.com."), 0)).isNull();
    }

    @Test
    void theAnswerWithSignaturesIsAnother() throws IOException {
        final Message answer = answer(Rcode.NOERROR);
        add(answer, Section.ANSWER, "www.example.com.", Type.A, 60, "192.0.2.1");
        cache.put(key("www.example.com."), answer, 0);
        assertThat(cache.get(new AnswerCache.Key(name("www.example.com."), Type.A, true, false), 0))
                .isNull();
    }
}
