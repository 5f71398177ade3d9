package io.sluice.control.agent;

import io.sluice.control.agent.PortFactory.AttachException.Cause;
import io.sluice.control.policy.IpAddress;
import io.sluice.dataplane.port.MemoryPort;
import io.sluice.dataplane.port.Port;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Devices in memory, in namespaces that exist when a test says so. Everything that happens is
 * written to a journal, in order.
 */
final class MemoryPorts implements PortFactory {
    static final String UPLINK = "uplink";
    static final String PROXY = "proxy";

    private final List<String> journal;
    private final Map<String, MemoryPort> ports = new HashMap<>();
    private final Set<String> missing = new HashSet<>();
    private final Set<String> replaced = new HashSet<>();
    private final Map<String, String> refusals = new HashMap<>();

    MemoryPorts(final List<String> journal) {
        this.journal = journal;
    }

    /** The port of a pod of namespace shop, or the uplink's. */
    MemoryPort port(final String name) {
        final MemoryPort port = ports.get(name);
        if (port == null) {
            throw new IllegalStateException("no device " + name + ": " + ports.keySet());
        }
        return port;
    }

    boolean hasDevice(final String name) {
        return ports.containsKey(name);
    }

    void removeNamespace(final String namespace) {
        missing.add(namespace);
    }

    void addNamespace(final String namespace) {
        missing.remove(namespace);
    }

    void replaceNamespace(final String namespace) {
        replaced.add(namespace);
    }

    /** Lets the device of this name be refused; an empty reason lets it be made again. */
    void refuse(final String name, final String reason) {
        refusals.put(name, reason);
    }

    @Override
    public Device attach(final EndpointSpec spec) throws AttachException {
        if (missing.contains(spec.networkNamespace())) {
            throw new AttachException(
                    Cause.NAMESPACE_MISSING, "no namespace " + spec.networkNamespace());
        }
        replaced.remove(spec.networkNamespace());
        return device(spec.name(), spec.mtuBytes(), spec.networkNamespace());
    }

    @Override
    public Device uplink(final SluiceConfig.Uplink uplink, final List<IpAddress> addresses)
            throws AttachException {
        return device(UPLINK, uplink.mtuBytes(), "");
    }

    @Override
    public ProxyDevice proxy() throws AttachException {
        final Device device = device(PROXY, 65_521, "");
        return new ProxyDevice() {
            @Override
            public void enter() {}

            @Override
            public String namespace() {
                return "memory";
            }

            @Override
            public Port port() {
                return device.port();
            }

            @Override
            public boolean isReplaced() {
                return false;
            }

            @Override
            public void remove() {
                device.remove();
            }
        };
    }

    private Device device(final String name, final int mtu, final String namespace)
            throws AttachException {
        final String refusal = refusals.getOrDefault(name, "");
        if (!refusal.isEmpty()) {
            throw new AttachException(Cause.REFUSED, refusal);
        }
        final MemoryPort port = new MemoryPort(name, mtu);
        ports.put(name, port);
        journal.add("make " + name);
        return new Device() {
            @Override
            public Port port() {
                return port;
            }

            @Override
            public boolean isReplaced() {
                return replaced.contains(namespace);
            }

            @Override
            public void remove() {
                ports.remove(name, port);
                journal.add("remove " + name);
            }
        };
    }

    @Override
    public void addRoutes(final String uplinkDevice, final List<IpAddress> addresses)
            throws AttachException {
        addresses.forEach(address -> journal.add("route " + address));
    }

    @Override
    public void removeRoutes(final String uplinkDevice, final List<IpAddress> addresses) {
        addresses.forEach(address -> journal.add("unroute " + address));
    }
}
