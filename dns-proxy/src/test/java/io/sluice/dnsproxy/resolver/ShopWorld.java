package io.sluice.dnsproxy.resolver;

import io.sluice.dnsproxy.wire.Address;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A namespace with a service of both families, a headless one, and three pods. */
final class ShopWorld implements ClusterWorld {
    static Address address(final String text) {
        return Address.parse(text);
    }

    private static final Map<String, Service> SERVICES =
            Map.of(
                    "web",
                    new Service(
                            List.of(address("10.96.0.20"), address("fd00:96::20")),
                            List.of(new Port("http", "tcp", 80), new Port("http", "udp", 443)),
                            List.of()),
                    "db",
                    new Service(
                            List.of(),
                            List.of(new Port("sql", "tcp", 5432)),
                            List.of(
                                    new Backend("db-0", List.of(address("10.244.0.31"))),
                                    new Backend("db-1", List.of(address("10.244.0.32"))),
                                    new Backend(
                                            null,
                                            List.of(
                                                    address("10.244.0.33"),
                                                    address("fd00:244::33"))))),
                    "empty",
                    new Service(List.of(), List.of(), List.of()));

    @Override
    public boolean hasNamespace(final String namespace) {
        return namespace.equals("shop");
    }

    @Override
    public @Nullable Service service(final String namespace, final String name) {
        return namespace.equals("shop") ? SERVICES.get(name) : null;
    }

    @Override
    public boolean hasPod(final String namespace, final Address address) {
        return namespace.equals("shop")
                && (address.equals(address("10.244.0.31"))
                        || address.equals(address("fd00:244::33")));
    }

    @Override
    public @Nullable Owner owner(final Address address) {
        return switch (address.toString()) {
            case "10.96.0.20", "fd00:96::20" -> new Owner("shop", "web", null);
            case "10.244.0.31" -> new Owner("shop", "db", "db-0");
            default -> null;
        };
    }

    @Override
    public boolean isOfCluster(final Address address) {
        final String text = address.toString();
        return text.startsWith("10.") || text.startsWith("fd00:");
    }
}
