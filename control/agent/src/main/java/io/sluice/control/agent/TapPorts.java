package io.sluice.control.agent;

import io.sluice.control.agent.EndpointSpec.PortKind;
import io.sluice.control.agent.PortFactory.AttachException.Cause;
import io.sluice.control.policy.IpAddress;
import io.sluice.dataplane.Gateway;
import io.sluice.dataplane.linux.Errno;
import io.sluice.dataplane.linux.IpCommand;
import io.sluice.dataplane.linux.LinuxException;
import io.sluice.dataplane.linux.NetworkNamespace;
import io.sluice.dataplane.linux.PrivateNamespace;
import io.sluice.dataplane.linux.Tun;
import io.sluice.dataplane.linux.XdpQueues;
import io.sluice.dataplane.port.PodInterface;
import io.sluice.dataplane.port.Port;
import io.sluice.dataplane.port.ProxyInterface;
import io.sluice.dataplane.port.RelayPort;
import io.sluice.dataplane.port.TapOptions;
import io.sluice.dataplane.port.TapOptions.Lifetime;
import io.sluice.dataplane.port.TapPort;
import io.sluice.dataplane.port.XdpOptions;
import io.sluice.dataplane.port.XdpPort;
import io.sluice.dataplane.port.XdpUnavailableException;
import io.sluice.dataplane.wire.MacAddress;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Devices of the kernel: TAPs, and for endpoints or an uplink that ask for it pairs of veth read
 * through AF_XDP.
 *
 * <p>Devices outlive a crash of the daemon (they would otherwise vanish from running pods), and are
 * found again by the next one; an orderly stop removes them.
 *
 * <p>Thread: control.
 */
final class TapPorts implements PortFactory {
    private static final Logger LOG = LoggerFactory.getLogger(TapPorts.class);

    private static final String PID_PREFIX = "pid:";

    /** The switch as pods see it (see {@link io.sluice.dataplane.Gateway#DEFAULT}). */
    private static final String IPV4_GATEWAY = "169.254.1.1";

    private static final String IPV6_GATEWAY = "fe80::1";

    /** MAC of the node's side of the uplink: locally administered, beside the gateway's. */
    static final long UPLINK_MAC = 0x0253_4c00_0002L;

    /** MAC of the L7 proxy's device. */
    static final long PROXY_MAC = 0x0253_4c00_0003L;

    private static final String PROXY_DEVICE = "sluice-l7";

    /** The switch's end of an uplink that is a pair. */
    private static final String UPLINK_PEER = "slx-uplink";

    private record TapProxyDevice(TapPort tap, PrivateNamespace home) implements ProxyDevice {
        @Override
        public Port port() {
            return tap;
        }

        @Override
        public boolean isReplaced() {
            return false;
        }

        @Override
        public void enter() {
            home.namespace().enter();
        }

        @Override
        public String namespace() {
            return home.namespace().path().toString();
        }

        @Override
        public void remove() {
            tap.release();
            home.close();
        }
    }

    private final SluiceConfig.Xdp config;
    private final int lanes;

    /**
     * @param lanes that ports have parts for
     */
    TapPorts(final SluiceConfig.Xdp config, final int lanes) {
        this.config = config;
        this.lanes = lanes;
    }

    private record XdpDevice(
            XdpPort xdp, Port port, Optional<EndpointSpec> spec, NetworkNamespace namespace)
            implements Device {

        @Override
        public boolean isReplaced() {
            return spec.isPresent() && isAnotherInPlaceOf(namespace, spec.get());
        }

        @Override
        public void remove() {
            xdp.release();
        }
    }

    private record TapDevice(TapPort tap, Optional<EndpointSpec> spec, NetworkNamespace namespace)
            implements Device {
        @Override
        public Port port() {
            return tap;
        }

        @Override
        public boolean isReplaced() {
            return spec.isPresent() && isAnotherInPlaceOf(namespace, spec.get());
        }

        @Override
        public List<Integer> descriptors() {
            return tap.descriptors();
        }

        @Override
        public void remove() {
            tap.release();
        }
    }

    private static boolean isAnotherInPlaceOf(
            final NetworkNamespace namespace, final EndpointSpec spec) {
        if (namespace.isPresent()) {
            return false;
        }
        try {
            return !resolve(spec).isSameAs(namespace);
        } catch (final AttachException e) {
            // Gone and nothing in its place: the device, if it is gone too, tells the lane.
            return false;
        }
    }

    /**
     * An endpoint's device that another process passed on.
     *
     * @throws AttachException when the namespace that it was made in is not there any more
     */
    Device adopt(final EndpointSpec spec, final List<Integer> descriptors) throws AttachException {
        final NetworkNamespace namespace = resolve(spec);
        return new TapDevice(
                TapPort.adopt(options(spec, namespace), descriptors), Optional.of(spec), namespace);
    }

    /** The uplink's device that another process passed on. */
    Device adoptUplink(final SluiceConfig.Uplink uplink, final List<Integer> descriptors) {
        return new TapDevice(
                TapPort.adopt(options(uplink), descriptors),
                Optional.empty(),
                NetworkNamespace.current());
    }

    /** Takes away a device that another process passed on. */
    void discard(final PassedDevice device) {
        for (final int descriptor : device.descriptors()) {
            final Tun tun = Tun.adopt(device.device(), descriptor);
            tun.unpersist();
            tun.close();
        }
    }

    @Override
    public Device attach(final EndpointSpec spec) throws AttachException {
        final NetworkNamespace namespace = resolve(spec);
        if (namespace.isSameAs(NetworkNamespace.current())) {
            throw new AttachException(
                    Cause.REFUSED,
                    "network namespace %s is the switch's own: a pod needs one of its own"
                            .formatted(spec.networkNamespace()));
        }
        try {
            return switch (spec.port()) {
                case TAP -> tapDevice(spec, namespace);
                case XDP -> xdpDevice(spec, namespace);
            };
        } catch (final LinuxException e) {
            throw new AttachException(causeOf(e, namespace, spec), String.valueOf(e.getMessage()));
        }
    }

    private static Cause causeOf(
            final LinuxException e, final NetworkNamespace namespace, final EndpointSpec spec) {
        if (!namespace.isPresent()) {
            // A namespace that went away in the middle of it may come back.
            return Cause.NAMESPACE_MISSING;
        }
        // The daemon before passes TAPs on; an AF_XDP socket ends with it.
        return spec.port() == PortKind.XDP && e.is(Errno.EBUSY) ? Cause.HELD : Cause.REFUSED;
    }

    private Device tapDevice(final EndpointSpec spec, final NetworkNamespace namespace) {
        return new TapDevice(open(spec, namespace), Optional.of(spec), namespace);
    }

    /** An AF_XDP port, or a TAP where there is none to be had. */
    private Device xdpDevice(final EndpointSpec spec, final NetworkNamespace namespace) {
        try {
            final XdpPort xdp =
                    XdpPort.open(
                            new XdpOptions(
                                    peerOf(spec),
                                    spec.device(),
                                    namespace,
                                    spec.mac(),
                                    spec.mtuBytes(),
                                    config.queues(),
                                    mode(),
                                    config.busyPollUs()));
            try {
                podInterface(spec).apply(namespace);
            } catch (final LinuxException e) {
                xdp.release();
                throw e;
            }
            tellOf("endpoint " + spec.path(), peerOf(spec), xdp);
            return new XdpDevice(xdp, forLanes(xdp), Optional.of(spec), namespace);
        } catch (final XdpUnavailableException e) {
            LOG.warn(
                    "endpoint {}: no AF_XDP, a TAP takes its place: {}",
                    spec.path(),
                    e.getMessage());
            return tapDevice(spec, namespace);
        }
    }

    /** The sockets of an AF_XDP port are lane 0's; the other lanes hand it their frames. */
    private Port forLanes(final XdpPort xdp) {
        return lanes == 1 ? xdp : new RelayPort(xdp, lanes);
    }

    private static void tellOf(final String whose, final String peer, final XdpPort xdp) {
        LOG.info(
                "{}: AF_XDP on {}, {}, checksums {}",
                whose,
                peer,
                xdp.isNative() ? "in the driver" : "in generic mode",
                xdp.leavesChecksumsOpen() ? "left to the device" : "completed by the switch");
    }

    private XdpQueues.Mode mode() {
        return switch (config.mode()) {
            case AUTO -> XdpQueues.Mode.AUTO;
            case GENERIC -> XdpQueues.Mode.GENERIC;
        };
    }

    /** Name of the node's end of a pair: the same for the same Pod, as its MAC address is. */
    static String peerOf(final EndpointSpec spec) {
        return "slx%010x".formatted(spec.mac() & 0xff_ffff_ffffL);
    }

    private TapPort open(final EndpointSpec spec, final NetworkNamespace namespace) {
        final TapPort tap = TapPort.open(options(spec, namespace), lanes);
        try {
            podInterface(spec).apply(namespace);
            return tap;
        } catch (final LinuxException e) {
            tap.release();
            throw e;
        }
    }

    private static PodInterface podInterface(final EndpointSpec spec) {
        return new PodInterface(
                spec.device(),
                address(spec, true),
                address(spec, false),
                IPV4_GATEWAY,
                IPV6_GATEWAY);
    }

    private static TapOptions options(final EndpointSpec spec, final NetworkNamespace namespace) {
        return new TapOptions(
                spec.device(), namespace, spec.mac(), spec.mtuBytes(), Lifetime.NAMESPACE);
    }

    private static TapOptions options(final SluiceConfig.Uplink uplink) {
        return new TapOptions(
                uplink.device(), null, UPLINK_MAC, uplink.mtuBytes(), Lifetime.NAMESPACE);
    }

    private static @Nullable String address(final EndpointSpec spec, final boolean isIpv4) {
        return spec.addresses().stream()
                .filter(address -> address.isIpv4() == isIpv4)
                .map(IpAddress::toString)
                .findFirst()
                .orElse(null);
    }

    /**
     * The namespace, if it is there now. A name or path that does not lead to a namespace may be in
     * the making: {@code ip netns add} makes a file first, and then mounts the namespace over it.
     */
    static NetworkNamespace resolve(final EndpointSpec spec) throws AttachException {
        final String given = spec.networkNamespace();
        try {
            return given.startsWith(PID_PREFIX)
                    ? ofProcess(Long.parseLong(given.substring(PID_PREFIX.length())), spec)
                    : NetworkNamespace.of(given);
        } catch (final LinuxException e) {
            throw new AttachException(Cause.NAMESPACE_MISSING, String.valueOf(e.getMessage()));
        }
    }

    private static NetworkNamespace ofProcess(final long pid, final EndpointSpec spec)
            throws AttachException {
        final NetworkNamespace namespace = NetworkNamespace.ofProcess(pid);
        // Asked after the namespace was found: who has this start now had the number then, too.
        if (!spec.processStart().isEmpty()
                && !ProcessStart.of(pid).equals(Optional.of(spec.processStart()))) {
            throw new AttachException(
                    Cause.NAMESPACE_MISSING,
                    "process %d of this endpoint has ended, another one has its number: delete the endpoint, or add it anew"
                            .formatted(pid));
        }
        return namespace;
    }

    @Override
    public ProxyDevice proxy() throws AttachException {
        PrivateNamespace home = null;
        TapPort tap = null;
        try {
            home = PrivateNamespace.create("sluice-proxy");
            tap =
                    TapPort.open(
                            new TapOptions(
                                    PROXY_DEVICE,
                                    home.namespace(),
                                    PROXY_MAC,
                                    SluiceConfig.MTU_BYTES_MAX,
                                    Lifetime.PORT),
                            lanes);
            new ProxyInterface(
                            PROXY_DEVICE,
                            IPV4_GATEWAY,
                            IPV6_GATEWAY,
                            MacAddress.format(Gateway.DEFAULT.mac()))
                    .apply(home.namespace());
            return new TapProxyDevice(tap, home);
        } catch (final LinuxException e) {
            if (tap != null) {
                tap.release();
            }
            if (home != null) {
                home.close();
            }
            throw new AttachException(Cause.REFUSED, "the L7 proxy's namespace: " + e.getMessage());
        }
    }

    @Override
    public Device uplink(final SluiceConfig.Uplink uplink, final List<IpAddress> addresses)
            throws AttachException {
        try {
            return switch (uplink.port()) {
                case TAP -> tapUplink(uplink, addresses);
                case XDP -> xdpUplink(uplink, addresses);
            };
        } catch (final LinuxException e) {
            // The daemon before passes a TAP on; an AF_XDP socket ends with it.
            final boolean isHeld =
                    uplink.port() == SluiceConfig.Uplink.Port.XDP && e.is(Errno.EBUSY);
            throw new AttachException(
                    isHeld ? Cause.HELD : Cause.REFUSED, String.valueOf(e.getMessage()));
        }
    }

    private Device tapUplink(final SluiceConfig.Uplink uplink, final List<IpAddress> addresses) {
        final TapPort tap = TapPort.open(options(uplink), lanes);
        try {
            configureUplink(uplink.device(), addresses);
        } catch (final LinuxException e) {
            tap.release();
            throw e;
        }
        return new TapDevice(tap, Optional.empty(), NetworkNamespace.current());
    }

    /** A pair of veth of which both ends are the node's, or a TAP where there is no AF_XDP. */
    private Device xdpUplink(final SluiceConfig.Uplink uplink, final List<IpAddress> addresses) {
        final NetworkNamespace here = NetworkNamespace.current();
        try {
            final XdpPort xdp =
                    XdpPort.open(
                            new XdpOptions(
                                    UPLINK_PEER,
                                    uplink.device(),
                                    here,
                                    UPLINK_MAC,
                                    uplink.mtuBytes(),
                                    config.queues(),
                                    mode(),
                                    config.busyPollUs()));
            try {
                configureUplink(uplink.device(), addresses);
            } catch (final LinuxException e) {
                xdp.release();
                throw e;
            }
            tellOf("uplink", UPLINK_PEER, xdp);
            return new XdpDevice(xdp, forLanes(xdp), Optional.empty(), here);
        } catch (final XdpUnavailableException e) {
            LOG.warn("uplink: no AF_XDP, a TAP takes its place: {}", e.getMessage());
            return tapUplink(uplink, addresses);
        }
    }

    private static void configureUplink(final String device, final List<IpAddress> addresses) {
        // The node must not configure itself from, or ask, a switch that is no router for it.
        setIpv6(device, "accept_ra", "0");
        setIpv6(device, "router_solicitations", "0");
        setIpv6(device, "accept_dad", "0");
        final List<String> lines = new ArrayList<>();
        // Down and up again: a device found again has routes to endpoints that may be gone.
        lines.add("link set dev " + device + " down");
        lines.add("addr flush dev " + device);
        for (final IpAddress address : addresses) {
            lines.add(
                    "addr replace %s/%d dev %s%s"
                            .formatted(
                                    address,
                                    address.familyBits(),
                                    device,
                                    address.isIpv4() ? "" : " nodad"));
        }
        lines.add("link set dev " + device + " up");
        IpCommand.here().batch(lines);
    }

    private static void setIpv6(final String device, final String name, final String value) {
        final Path file = Path.of("/proc/sys/net/ipv6/conf", device, name);
        if (!Files.exists(file)) {
            // A node without IPv6 has nothing to set.
            return;
        }
        try {
            Files.writeString(file, value);
        } catch (final IOException e) {
            throw new LinuxException("write " + value + " to " + file + ": " + e.getMessage(), e);
        }
    }

    @Override
    public void addRoutes(final String uplinkDevice, final List<IpAddress> addresses)
            throws AttachException {
        try {
            IpCommand.here()
                    .batch(
                            addresses.stream()
                                    .map(
                                            address ->
                                                    "route replace %s dev %s"
                                                            .formatted(
                                                                    prefix(address), uplinkDevice))
                                    .toList());
        } catch (final LinuxException e) {
            throw new AttachException(Cause.REFUSED, String.valueOf(e.getMessage()));
        }
    }

    @Override
    public void removeRoutes(final String uplinkDevice, final List<IpAddress> addresses) {
        for (final IpAddress address : addresses) {
            try {
                IpCommand.here()
                        .batch(
                                List.of(
                                        "route del %s dev %s"
                                                .formatted(prefix(address), uplinkDevice)));
            } catch (final LinuxException e) {
                // Someone removed it before us.
                LOG.debug("{}", e.getMessage());
            }
        }
    }

    private static String prefix(final IpAddress address) {
        return address + "/" + address.familyBits();
    }
}
