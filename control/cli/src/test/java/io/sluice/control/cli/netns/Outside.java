package io.sluice.control.cli.netns;

import java.util.ArrayList;
import java.util.List;

/**
 * What is behind a node's uplink: the namespace {@code outside}, which has every address of two
 * prefixes, on both families, and resolvers. Ends with the node.
 */
final class Outside {
    static final String RESOLVER = "198.51.100.10";
    static final String RESOLVER6 = "2001:db8:51::10";

    /** Nobody answers there, and nobody says so. */
    static final String SILENT_RESOLVER = "198.51.100.99";

    /** Addresses that a server in the namespace has, all of them. */
    static final String SERVERS = "10.77.0.0/16";

    private static final String SERVERS6 = "2001:db8:77::/64";
    private static final String NAME = "outside";

    private final TestNode node;

    /** Makes the namespace, and has the node forward. */
    Outside(final TestNode node) {
        this.node = node;
        node.addNamespace(NAME);
        final String host = node.namespace();
        final String outside = node.namespace(NAME);
        Command.need(
                "ip", "-n", host, "link", "add", "out", "type", "veth", "peer", "name", "eth0",
                "netns", outside);
        address(host, "out", "198.51.100.1/24", "2001:db8:51::1/64");
        address(outside, "eth0", RESOLVER + "/24", RESOLVER6 + "/64");
        Command.need("ip", "-n", host, "link", "set", "out", "up");
        Command.need("ip", "-n", outside, "link", "set", "eth0", "up");
        Command.need("ip", "-n", outside, "route", "add", "default", "via", "198.51.100.1");
        Command.need("ip", "-n", outside, "-6", "route", "add", "default", "via", "2001:db8:51::1");
        Command.need("ip", "-n", outside, "route", "add", "local", SERVERS, "dev", "lo");
        Command.need("ip", "-n", outside, "-6", "route", "add", "local", SERVERS6, "dev", "lo");
        Command.need("ip", "-n", host, "route", "add", SERVERS, "via", RESOLVER);
        Command.need("ip", "-n", host, "-6", "route", "add", SERVERS6, "via", RESOLVER6);
        Command.need(
                "ip",
                "-n",
                host,
                "neigh",
                "add",
                SILENT_RESOLVER,
                "dev",
                "out",
                "lladdr",
                "02:00:00:00:00:99");
        node.in(
                "node",
                "sysctl",
                "-q",
                "-w",
                "net.ipv4.ip_forward=1",
                "net.ipv6.conf.all.forwarding=1");
    }

    private static void address(
            final String namespace, final String device, final String ipv4, final String ipv6) {
        Command.need("ip", "-n", namespace, "addr", "add", ipv4, "dev", device);
        Command.need("ip", "-n", namespace, "addr", "add", ipv6, "dev", device, "nodad");
    }

    /** Starts dnsmasq, which knows these hosts ({@code NAME,ADDRESS...}) and nothing else. */
    Running dnsmasq(final String... hosts) {
        final List<String> line =
                new ArrayList<>(
                        List.of(
                                "dnsmasq",
                                "--keep-in-foreground",
                                "--no-hosts",
                                "--no-resolv",
                                "--conf-file=/dev/null",
                                "--pid-file=",
                                "--user=root",
                                "--local-ttl=1",
                                "--edns-packet-max=4096",
                                "--host-record=ready.test,192.0.2.1"));
        for (final String host : hosts) {
            line.add("--host-record=" + host);
        }
        return dnsmasq(line);
    }

    private Running dnsmasq(final List<String> line) {
        final Running running = node.start(NAME, line.toArray(String[]::new));
        TestNode.await(
                "dnsmasq answers",
                () ->
                        node.in(NAME, "dig", "+short", "@" + RESOLVER, "ready.test")
                                .output()
                                .equals("192.0.2.1"));
        return running;
    }
}
