package io.sluice.dnsproxy.resolver;

import io.sluice.dnsproxy.wire.Address;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.xbill.DNS.AAAARecord;
import org.xbill.DNS.ARecord;
import org.xbill.DNS.DClass;
import org.xbill.DNS.Flags;
import org.xbill.DNS.Header;
import org.xbill.DNS.Message;
import org.xbill.DNS.Name;
import org.xbill.DNS.NameTooLongException;
import org.xbill.DNS.PTRRecord;
import org.xbill.DNS.Rcode;
import org.xbill.DNS.Record;
import org.xbill.DNS.SOARecord;
import org.xbill.DNS.SRVRecord;
import org.xbill.DNS.Section;
import org.xbill.DNS.TextParseException;
import org.xbill.DNS.Type;

/**
 * Names of the cluster, answered with authority (Kubernetes DNS-based service discovery 1.1.0).
 *
 * <h2>Theory of operation</h2>
 *
 * <pre>
 *   SERVICE.NS.svc.DOMAIN                    A, AAAA: its address, or those of its pods if headless
 *   HOST.SERVICE.NS.svc.DOMAIN               A, AAAA: of the pod of a headless service
 *   _PORT._PROTOCOL.SERVICE.NS.svc.DOMAIN    SRV; names and addresses of targets besides
 *   1-2-3-4.NS.pod.DOMAIN, 2001-db8--1...    A, AAAA: the address in the name, if a pod has it
 *   reversed address.in-addr.arpa, ip6.arpa  PTR to the service, or to the pod in a headless one
 * </pre>
 *
 * <p>Everything at or below the domain is answered here and never goes upstream: a name that does
 * not exist is NXDOMAIN with the zone's SOA, so that a resolver goes on with the next ending of its
 * search list, and remembers for {@value #TTL_SECONDS} s at most. A name that exists without
 * records of the type, or only has names below it (RFC 8020: {@code svc.cluster.local}, a
 * namespace), is NOERROR with that SOA. A pod without a hostname is called in a headless service by
 * its address with dashes, as CoreDNS does.
 *
 * <p>Addresses of more than one pod are given in the world's order. Messages are built by dnsjava:
 * this is no packet path, and it compresses and truncates.
 *
 * <p>Immutable but for the world; any thread.
 */
final class ClusterNames {
    /** CoreDNS' default for its kubernetes plugin, s. */
    static final int TTL_SECONDS = 5;

    private static final Name IPV4_REVERSE = Name.fromConstantString("in-addr.arpa.");
    private static final Name IPV6_REVERSE = Name.fromConstantString("ip6.arpa.");

    private final ClusterWorld world;
    private final Name domain;

    /**
     * Names under a domain.
     *
     * @param domain {@code cluster.local}, with or without the final dot
     * @throws IllegalArgumentException if it is no name
     */
    ClusterNames(final ClusterWorld world, final String domain) {
        this.world = world;
        try {
            this.domain = Name.fromString(domain, Name.root);
        } catch (final TextParseException wrong) {
            throw new IllegalArgumentException("\"" + domain + "\": not a name", wrong);
        }
    }

    /**
     * Answers a query.
     *
     * @param query with one question, read without a fault
     * @return null if the name is not the cluster's
     */
    @Nullable Message answer(final Message query) {
        final Record question = query.getQuestion();
        final Name name = question.getName();
        if (question.getDClass() != DClass.IN) {
            return null;
        }
        if (name.subdomain(domain)) {
            return zoneAnswer(query, name);
        }
        final Address reversed = reversed(name);
        if (reversed == null || !world.isOfCluster(reversed)) {
            return null;
        }
        return reverseAnswer(query, name, reversed);
    }

    private Message zoneAnswer(final Message query, final Name name) {
        final Message answer = started(query);
        final List<String> labels = new ArrayList<>();
        for (int i = name.labels() - domain.labels() - 1; i >= 0; i--) {
            labels.add(name.getLabelString(i).toLowerCase(Locale.ROOT));
        }
        return ended(answer, fill(answer, labels));
    }

    /**
     * Fills in what there is.
     *
     * @param labels below the domain, the topmost first
     * @return whether the name exists
     */
    private boolean fill(final Message answer, final List<String> labels) {
        if (labels.isEmpty()) {
            if (type(answer) == Type.SOA) {
                answer.addRecord(soa(), Section.ANSWER);
            }
            return true;
        }
        return switch (labels.getFirst()) {
            case "svc" -> fillService(answer, labels);
            case "pod" -> fillPod(answer, labels);
            default -> false;
        };
    }

    private boolean fillPod(final Message answer, final List<String> labels) {
        if (labels.size() < 2) {
            return true;
        }
        if (labels.size() == 2) {
            return world.hasNamespace(labels.get(1));
        }
        final Address address = dashed(labels.get(2));
        if (labels.size() > 3 || address == null || !world.hasPod(labels.get(1), address)) {
            return false;
        }
        addAddress(answer, name(answer), address, Section.ANSWER, type(answer));
        return true;
    }

    private boolean fillService(final Message answer, final List<String> labels) {
        if (labels.size() < 2) {
            return true;
        }
        final String namespace = labels.get(1);
        if (labels.size() == 2) {
            return world.hasNamespace(namespace);
        }
        final ClusterWorld.Service service = world.service(namespace, labels.get(2));
        if (service == null) {
            return false;
        }
        final Name serviceName = below(domain, labels.subList(0, 3));
        return switch (labels.size()) {
            case 3 -> {
                fillAddresses(answer, service);
                yield true;
            }
            case 4 -> fillBelowService(answer, service, labels.get(3));
            case 5 -> fillPorts(answer, service, serviceName, labels.get(4), labels.get(3));
            default -> false;
        };
    }

    private void fillAddresses(final Message answer, final ClusterWorld.Service service) {
        for (final Address address : service.clusterAddresses()) {
            addAddress(answer, name(answer), address, Section.ANSWER, type(answer));
        }
        if (service.isHeadless()) {
            for (final ClusterWorld.Backend backend : service.backends()) {
                for (final Address address : backend.addresses()) {
                    addAddress(answer, name(answer), address, Section.ANSWER, type(answer));
                }
            }
        }
    }

    /** A pod's hostname, or the protocol above the names of ports. */
    private boolean fillBelowService(
            final Message answer, final ClusterWorld.Service service, final String label) {
        boolean exists =
                service.ports().stream().anyMatch(port -> label.equals("_" + port.protocol()));
        if (service.isHeadless()) {
            for (final ClusterWorld.Backend backend : service.backends()) {
                for (final Address address : backend.addresses()) {
                    if (hostLabel(backend, address).equals(label)) {
                        addAddress(answer, name(answer), address, Section.ANSWER, type(answer));
                        exists = true;
                    }
                }
            }
        }
        return exists;
    }

    private boolean fillPorts(
            final Message answer,
            final ClusterWorld.Service service,
            final Name serviceName,
            final String portLabel,
            final String protocolLabel) {
        boolean exists = false;
        for (final ClusterWorld.Port port : service.ports()) {
            if (!protocolLabel.equals("_" + port.protocol())
                    || !portLabel.equals("_" + port.name())) {
                continue;
            }
            exists = true;
            if (type(answer) != Type.SRV) {
                continue;
            }
            if (!service.isHeadless()) {
                addTarget(answer, port, serviceName, service.clusterAddresses());
                continue;
            }
            for (final ClusterWorld.Backend backend : service.backends()) {
                for (final Address address : backend.addresses()) {
                    final Name host = below(serviceName, List.of(hostLabel(backend, address)));
                    addTarget(answer, port, host, List.of(address));
                }
            }
        }
        return exists;
    }

    private static void addTarget(
            final Message answer,
            final ClusterWorld.Port port,
            final Name host,
            final List<Address> addresses) {
        final Record target =
                new SRVRecord(name(answer), DClass.IN, TTL_SECONDS, 0, 100, port.port(), host);
        if (!answer.findRecord(target, Section.ANSWER)) {
            answer.addRecord(target, Section.ANSWER);
        }
        for (final Address address : addresses) {
            addAddress(answer, host, address, Section.ADDITIONAL, Type.ANY);
        }
    }

    private Message reverseAnswer(final Message query, final Name name, final Address address) {
        final Message answer = started(query);
        final ClusterWorld.Owner owner = world.owner(address);
        if (owner != null && (type(answer) == Type.PTR || type(answer) == Type.ANY)) {
            final Name service = below(domain, List.of("svc", owner.namespace(), owner.service()));
            final Name target =
                    owner.hostname() == null ? service : below(service, List.of(owner.hostname()));
            answer.addRecord(new PTRRecord(name, DClass.IN, TTL_SECONDS, target), Section.ANSWER);
        }
        return ended(answer, owner != null);
    }

    private static Message started(final Message query) {
        final Message answer = new Message();
        final Header header = new Header(query.getHeader().getID());
        header.setFlag(Flags.QR);
        header.setFlag(Flags.AA);
        header.setFlag(Flags.RA);
        if (query.getHeader().getFlag(Flags.RD)) {
            header.setFlag(Flags.RD);
        }
        answer.setHeader(header);
        answer.addRecord(query.getQuestion(), Section.QUESTION);
        return answer;
    }

    private Message ended(final Message answer, final boolean exists) {
        if (!exists) {
            answer.getHeader().setRcode(Rcode.NXDOMAIN);
        }
        if (answer.getSection(Section.ANSWER).isEmpty()) {
            answer.addRecord(soa(), Section.AUTHORITY);
        }
        return answer;
    }

    private SOARecord soa() {
        return new SOARecord(
                domain,
                DClass.IN,
                TTL_SECONDS,
                below(domain, List.of("dns", "ns")),
                below(domain, List.of("hostmaster")),
                1,
                7200,
                1800,
                86400,
                TTL_SECONDS);
    }

    private static void addAddress(
            final Message answer,
            final Name name,
            final Address address,
            final int section,
            final int type) {
        final int own = address.isIpv4() ? Type.A : Type.AAAA;
        if (type != own && type != Type.ANY) {
            return;
        }
        final Record record =
                own == Type.A
                        ? new ARecord(name, DClass.IN, TTL_SECONDS, address.toInetAddress())
                        : new AAAARecord(name, DClass.IN, TTL_SECONDS, address.toInetAddress());
        if (!answer.findRecord(record, section)) {
            answer.addRecord(record, section);
        }
    }

    private static Name name(final Message answer) {
        return answer.getQuestion().getName();
    }

    private static int type(final Message answer) {
        return answer.getQuestion().getType();
    }

    private static String hostLabel(final ClusterWorld.Backend backend, final Address address) {
        return backend.hostname() != null
                ? backend.hostname()
                : address.toString().replace('.', '-').replace(':', '-');
    }

    /** The name with these labels put before it, one after the other. */
    private static Name below(final Name name, final List<String> labels) {
        Name result = name;
        try {
            for (final String label : labels) {
                result = Name.concatenate(Name.fromString(label), result);
            }
        } catch (final TextParseException | NameTooLongException wrong) {
            throw new IllegalStateException("names of objects are labels: " + labels, wrong);
        }
        return result;
    }

    /** The address that a label writes with dashes, or null. */
    private static @Nullable Address dashed(final String label) {
        final boolean isIpv4 = label.matches("\\d{1,3}(-\\d{1,3}){3}");
        try {
            return Address.parse(isIpv4 ? label.replace('-', '.') : label.replace('-', ':'));
        } catch (final IllegalArgumentException noAddress) {
            return null;
        }
    }

    /** The address that a name below the reverse zones means, or null. */
    private static @Nullable Address reversed(final Name name) {
        final boolean isIpv4 = name.subdomain(IPV4_REVERSE);
        if (!isIpv4 && !name.subdomain(IPV6_REVERSE)) {
            return null;
        }
        final int count = isIpv4 ? 4 : 32;
        if (name.labels() != count + 3) {
            return null;
        }
        final byte[] octets = new byte[isIpv4 ? 4 : 16];
        for (int i = 0; i < count; i++) {
            final int value = number(name.getLabelString(count - 1 - i), isIpv4 ? 10 : 16);
            if (value < 0 || value > (isIpv4 ? 255 : 15)) {
                return null;
            }
            if (isIpv4) {
                octets[i] = (byte) value;
            } else {
                octets[i / 2] = (byte) ((octets[i / 2] << 4) | value);
            }
        }
        return Address.of(octets);
    }

    private static int number(final String digits, final int radix) {
        try {
            return digits.length() <= 3 && digits.charAt(0) != '+'
                    ? Integer.parseInt(digits, radix)
                    : -1;
        } catch (final NumberFormatException noNumber) {
            return -1;
        }
    }
}
