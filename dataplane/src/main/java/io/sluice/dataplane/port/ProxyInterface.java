package io.sluice.dataplane.port;

import io.sluice.dataplane.linux.IpCommand;
import io.sluice.dataplane.linux.LinuxException;
import io.sluice.dataplane.linux.NetworkNamespace;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * What the L7 proxy's namespace sees: a device from which every address is delivered here, and by
 * which every address is reached.
 *
 * <p>Packets that come in by the device are routed by a table of their own, in which all of IPv4
 * and IPv6 is local; sockets with IP_TRANSPARENT take them (Documentation/networking/tproxy.rst,
 * without its iptables part, since here all traffic of the device is meant). What the sockets send
 * is routed by the main table, where everything lies behind the switch, whose MAC is known
 * beforehand.
 *
 * <p>{@link #settings} and {@link #lines} are pure; {@link #apply} carries them out, once per
 * namespace.
 *
 * <p>Thread: any; immutable.
 *
 * @param device name of the device in the namespace
 * @param ipv4Gateway the switch as an IPv4 router, link-local
 * @param ipv6Gateway the switch as an IPv6 router, link-local
 * @param gatewayMac its MAC as text
 */
public record ProxyInterface(
        String device, String ipv4Gateway, String ipv6Gateway, String gatewayMac) {
    private static final int LOCAL_TABLE = 100;

    /**
     * Files below /proc/sys and what is written to them.
     *
     * <p>A client's next connection from the same port may come while the proxy's last one to the
     * server is in TIME_WAIT: timestamps tell them apart (tcp_tw_reuse). A path with a smaller MTU
     * behind the client is found by probing (RFC 4821): the errors that would tell of it name a
     * port that the proxy's socket does not have.
     */
    public Map<String, String> settings() {
        final Map<String, String> settings = new TreeMap<>();
        settings.put("net/ipv4/conf/all/rp_filter", "0");
        settings.put("net/ipv4/conf/" + device + "/rp_filter", "0");
        settings.put("net/ipv4/tcp_tw_reuse", "1");
        settings.put("net/ipv4/tcp_mtu_probing", "1");
        settings.put("net/ipv6/conf/" + device + "/disable_ipv6", "0");
        settings.put("net/ipv6/conf/" + device + "/accept_dad", "0");
        settings.put("net/ipv6/conf/" + device + "/accept_ra", "0");
        settings.put("net/ipv6/conf/" + device + "/router_solicitations", "0");
        return settings;
    }

    /** Lines for {@code ip -batch}, in order. */
    public List<String> lines() {
        final String neighbour = " lladdr " + gatewayMac + " dev " + device + " nud permanent";
        return List.of(
                "link set dev lo up",
                "link set dev " + device + " up",
                "neigh replace " + ipv4Gateway + neighbour,
                "route replace " + ipv4Gateway + " dev " + device + " scope link",
                "route replace default via " + ipv4Gateway + " dev " + device,
                "neigh replace " + ipv6Gateway + neighbour,
                "route replace default via " + ipv6Gateway + " dev " + device,
                "route replace local default dev lo table " + LOCAL_TABLE,
                "route replace local ::/0 dev lo table " + LOCAL_TABLE,
                "rule add iif " + device + " lookup " + LOCAL_TABLE);
    }

    /**
     * Sets the namespace up.
     *
     * @throws LinuxException at the first step that the kernel refuses
     */
    public void apply(final NetworkNamespace namespace) {
        namespace.<@Nullable Void, RuntimeException>call(
                () -> {
                    settings().forEach(ProxyInterface::set);
                    return null;
                });
        final IpCommand ip = IpCommand.in(namespace);
        ip.batch(lines());
        // A batch has no lines of the other family's rules.
        ip.query("-6", "rule", "add", "iif", device, "lookup", String.valueOf(LOCAL_TABLE));
    }

    private static void set(final String name, final String value) {
        final Path file = Path.of("/proc/sys").resolve(name);
        try {
            Files.writeString(file, value);
        } catch (final IOException e) {
            throw new LinuxException("write " + value + " to " + file + ": " + e.getMessage(), e);
        }
    }
}
