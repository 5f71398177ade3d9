package io.sluice.dnsproxy;

import io.sluice.dnsproxy.wire.Address;
import io.sluice.dnsproxy.wire.DnsMessage;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * What an answer says about the name that was asked for.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>The answer section is followed from the question's name: through CNAME records, and SVCB or
 * HTTPS records in alias form, to A, AAAA and address hints. All addresses belong to the name that
 * was asked for, and to that name only. The aliases are reported, and nothing is learned under
 * them: whoever owns the zone of the question writes what follows an alias in it, also for a name
 * that is not theirs. (A policy that names {@code cdn.example.net} must not open what {@code
 * evil.example} calls that.)
 *
 * <p>Records out of the chain, and address records of the authority and additional sections, are
 * unasked: counted, not learned. An IPv4 address in IPv6's clothes ({@code ::ffff:0:0/96}) is
 * unasked too: nothing connects to one.
 *
 * <p>Chains may come in any order of records. They are followed for {@value #ALIASES_MAX} steps.
 *
 * <p>Thread: one owner; valid until the next {@link #read}.
 */
final class AnswerFacts {
    /** Unbound follows 11, BIND 16. */
    private static final int ALIASES_MAX = 16;

    final Set<Address> addresses = new LinkedHashSet<>();
    final List<String> aliases = new ArrayList<>();

    /** Least time to live of the chain and of the addresses, seconds; 0 without addresses. */
    int ttlSeconds;

    /** Records with addresses or aliases that do not belong to the question. */
    int unasked;

    private final List<Integer> chain = new ArrayList<>();

    /** Looks at an answer that was read without a fault. */
    void read(final DnsMessage answer) {
        addresses.clear();
        aliases.clear();
        chain.clear();
        unasked = 0;
        ttlSeconds = Integer.MAX_VALUE;
        followAliases(answer);
        int used = 0;
        int told = 0;
        for (int i = 0; i < answer.recordCount(); i++) {
            if (!tells(answer, i)) {
                continue;
            }
            told++;
            if (i < answer.answerCount()
                    && isOfChain(answer, answer.ownerAt(i))
                    && take(answer, i)) {
                used++;
            }
        }
        unasked = told - used;
        ttlSeconds = addresses.isEmpty() ? 0 : ttlSeconds;
    }

    private void followAliases(final DnsMessage answer) {
        int name = answer.questionNameAt();
        chain.add(name);
        while (chain.size() <= ALIASES_MAX) {
            final int target = aliasOf(answer, name);
            if (target < 0 || isOfChain(answer, target)) {
                return;
            }
            name = target;
            chain.add(name);
            aliases.add(answer.name(name));
        }
    }

    /** Where the name's alias leads, or -1. */
    private static int aliasOf(final DnsMessage answer, final int name) {
        for (int i = 0; i < answer.answerCount(); i++) {
            if (answer.recordClass(i) != DnsMessage.CLASS_IN
                    || !answer.sameName(answer.ownerAt(i), name)) {
                continue;
            }
            switch (answer.recordType(i)) {
                case DnsMessage.CNAME -> {
                    return answer.dataAt(i);
                }
                case DnsMessage.SVCB, DnsMessage.HTTPS -> {
                    if (answer.bindingPriority(i) == 0) {
                        return answer.bindingTargetAt(i);
                    }
                }
                default -> {
                    // Says nothing about another name.
                }
            }
        }
        return -1;
    }

    private boolean isOfChain(final DnsMessage answer, final int name) {
        for (int i = 0; i < chain.size(); i++) {
            if (answer.sameName(chain.get(i), name)) {
                return true;
            }
        }
        return false;
    }

    /** Whether it is of a type that could be learned from. */
    private static boolean tells(final DnsMessage answer, final int record) {
        return answer.recordClass(record) == DnsMessage.CLASS_IN
                && switch (answer.recordType(record)) {
                    case DnsMessage.A,
                            DnsMessage.AAAA,
                            DnsMessage.CNAME,
                            DnsMessage.SVCB,
                            DnsMessage.HTTPS ->
                            true;
                    default -> false;
                };
    }

    private boolean take(final DnsMessage answer, final int record) {
        switch (answer.recordType(record)) {
            case DnsMessage.A -> addresses.add(answer.address(record));
            case DnsMessage.AAAA -> {
                final Address address = answer.address(record);
                if (address.isIpv4()) {
                    return false;
                }
                addresses.add(address);
            }
            case DnsMessage.SVCB, DnsMessage.HTTPS -> answer.hints(record, addresses::add);
            default -> {
                // An alias of the chain: its time to live counts.
            }
        }
        ttlSeconds = Math.min(ttlSeconds, answer.ttl(record));
        return true;
    }
}
