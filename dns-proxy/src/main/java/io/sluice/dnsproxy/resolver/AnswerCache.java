package io.sluice.dnsproxy.resolver;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.xbill.DNS.Flags;
import org.xbill.DNS.Message;
import org.xbill.DNS.Name;
import org.xbill.DNS.Rcode;
import org.xbill.DNS.Record;
import org.xbill.DNS.SOARecord;
import org.xbill.DNS.Section;
import org.xbill.DNS.Type;

/**
 * Answers of upstreams, for as long as they hold.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>An answer with records holds for the least time to live of all its records. NXDOMAIN, and
 * NOERROR without answers, hold for the lesser of the SOA's time to live and its MINIMUM (RFC 2308
 * section 5), {@value #NEGATIVE_SECONDS_MAX} s at most; without an SOA they are not kept. Nor is
 * any other code, a truncated answer, or anything with a time of 0. What is given out has its times
 * counted down by its age in whole seconds (RFC 1034 section 4.2.1).
 *
 * <p>Kept by name, type, and the DO and CD of the question: they change the answer. {@value
 * #ENTRIES_MAX} answers of some 500 bytes; beyond, the one least recently used goes. Small on
 * purpose: it spares upstreams the questions that pods repeat.
 *
 * <p>Thread: the event loop.
 */
final class AnswerCache {
    /** 5 MB. */
    static final int ENTRIES_MAX = 10_000;

    /** RFC 2308 section 5 proposes one to three hours as the most. */
    static final int NEGATIVE_SECONDS_MAX = 3_600;

    /** A week (RFC 8767 section 4). */
    private static final long SECONDS_MAX = 7 * 24 * 3_600;

    /** What an answer is an answer to. */
    record Key(Name name, int type, boolean isDnssecOk, boolean isCheckingDisabled) {}

    private record Kept(Message answer, long storedMs, long expiresMs) {}

    private final Map<Key, Kept> entries =
            new LinkedHashMap<>(16, 0.75f, true) {
                private static final long serialVersionUID = 1L;

                @Override
                protected boolean removeEldestEntry(final Map.Entry<Key, Kept> eldest) {
                    return size() > ENTRIES_MAX;
                }
            };

    /**
     * Keeps an answer, if it may be.
     *
     * @param nowMs monotonic
     */
    void put(final Key key, final Message answer, final long nowMs) {
        final long seconds = seconds(answer);
        if (seconds > 0) {
            entries.put(key, new Kept(answer, nowMs, nowMs + seconds * 1000));
        }
    }

    private static long seconds(final Message answer) {
        final boolean hasAnswers = !answer.getSection(Section.ANSWER).isEmpty();
        if (answer.getHeader().getFlag(Flags.TC)) {
            return 0;
        }
        return switch (answer.getRcode()) {
            case Rcode.NOERROR -> hasAnswers ? least(answer) : negative(answer);
            case Rcode.NXDOMAIN -> negative(answer);
            default -> 0;
        };
    }

    private static long least(final Message answer) {
        long least = SECONDS_MAX;
        for (int section = Section.ANSWER; section <= Section.ADDITIONAL; section++) {
            for (final Record record : answer.getSection(section)) {
                if (record.getType() != Type.OPT) {
                    least = Math.min(least, record.getTTL());
                }
            }
        }
        return least;
    }

    private static long negative(final Message answer) {
        for (final Record record : answer.getSection(Section.AUTHORITY)) {
            if (record instanceof final SOARecord soa) {
                final long seconds = Math.min(soa.getTTL(), soa.getMinimum());
                return Math.min(Math.min(seconds, least(answer)), NEGATIVE_SECONDS_MAX);
            }
        }
        return 0;
    }

    /**
     * What is kept, its times counted down.
     *
     * @param nowMs monotonic
     */
    @Nullable Message get(final Key key, final long nowMs) {
        final Kept entry = entries.get(key);
        if (entry == null) {
            return null;
        }
        if (entry.expiresMs - nowMs <= 0) {
            entries.remove(key);
            return null;
        }
        return aged(entry.answer, (nowMs - entry.storedMs) / 1000);
    }

    int size() {
        return entries.size();
    }

    private static Message aged(final Message answer, final long seconds) {
        final Message aged = new Message();
        aged.setHeader(answer.getHeader().clone());
        for (int section = Section.QUESTION; section <= Section.ADDITIONAL; section++) {
            aged.removeAllRecords(section);
            for (final Record record : answer.getSection(section)) {
                final boolean counts = section != Section.QUESTION && record.getType() != Type.OPT;
                aged.addRecord(counts ? aged(record, seconds) : record, section);
            }
        }
        return aged;
    }

    /** The library has no way to copy a record with another time, so its octets are changed. */
    private static Record aged(final Record record, final long seconds) {
        final byte[] octets = record.toWire(Section.ANSWER);
        final int at = record.getName().length() + 4;
        final long left = Math.max(0, record.getTTL() - seconds);
        for (int i = 0; i < 4; i++) {
            octets[at + i] = (byte) (left >>> (24 - 8 * i));
        }
        try {
            return Record.fromWire(octets, Section.ANSWER);
        } catch (final IOException impossible) {
            throw new IllegalStateException("a record reads what it wrote", impossible);
        }
    }
}
