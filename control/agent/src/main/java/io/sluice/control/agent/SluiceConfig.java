package io.sluice.control.agent;

import io.sluice.conntrack.ConntrackConfig;
import io.sluice.control.agent.flowlog.LogLimits;
import io.sluice.control.policy.Cidr;
import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.PolicyOptions.CidrMatch;
import io.sluice.control.policy.PolicyOptions.DefaultVerdict;
import io.sluice.dataplane.linux.XdpQueues;
import io.sluice.dataplane.port.XdpOptions;
import io.sluice.dnsproxy.DnsLimits;
import io.sluice.dnsproxy.cache.FqdnLimits;
import io.sluice.l7proxy.Transport;
import io.sluice.l7proxy.kafka.KafkaLimits;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Configuration of the daemon. The defaults are in {@link #defaults}, the keys of the file in
 * {@link #from}, and nowhere else. Immutable; any thread.
 *
 * @param nodeName this node's name in the objects
 * @param clusterName value of the label {@code io.cilium.k8s.policy.cluster}
 * @param runFolder holds socket and lock; best on a tmpfs
 * @param stateFolder holds what survives a restart
 * @param mtuBytes MTU of endpoints that do not say, {@link #MTU_BYTES_MIN} to {@link
 *     #MTU_BYTES_MAX}
 * @param pool addresses for pods that name none
 * @param xdp endpoints with an AF_XDP port
 * @param uplink the device that joins the host
 * @param policy policy as a whole
 * @param conntrack size and timeouts of the flow table
 * @param dns names: how queries are judged and answers learned from
 * @param lane the threads that forward
 * @param flowEvents whether there are flow events at all
 * @param flowRing flows kept in memory for {@code observe}, 1 to {@link #FLOW_RING_MAX}
 * @param flowEnds whether the end of a flow is an event
 * @param redaction what flows do not tell of requests
 * @param flowStore flows kept on disk
 * @param flowExport flows for other programs
 * @param l7 the L7 proxy
 * @param hubble Hubble's observer
 * @param metrics where Prometheus and health checks ask over HTTP; empty for nowhere
 * @param logLevel what the log tells
 */
public record SluiceConfig(
        String nodeName,
        String clusterName,
        Path runFolder,
        Path stateFolder,
        int mtuBytes,
        Pool pool,
        Xdp xdp,
        Uplink uplink,
        Policy policy,
        ConntrackConfig conntrack,
        Dns dns,
        Lane lane,
        boolean flowEvents,
        int flowRing,
        boolean flowEnds,
        FlowRedaction redaction,
        FlowStorage flowStore,
        FlowExport flowExport,
        L7 l7,
        Hubble hubble,
        Optional<InetSocketAddress> metrics,
        LogLevel logLevel) {
    /** Smallest MTU a pod can work with (RFC 791 section 3.2; ETH_MIN_MTU). */
    public static final int MTU_BYTES_MIN = 68;

    /** Largest MTU of a TAP: 65535 less an Ethernet header (drivers/net/tun.c). */
    public static final int MTU_BYTES_MAX = 65_521;

    /** Where Prometheus finds a Cilium agent's metrics. */
    private static final int METRICS_PORT = 9962;

    /** 16 M flows are several GiB of heap; more is a mistake in the file. */
    public static final int FLOW_RING_MAX = (1 << 24) - 1;

    private static final int KIB = 1 << 10;
    private static final int MIB = 1 << 20;

    /** What the lane does when there is nothing to do. */
    public enum Idle {
        /** Never sleeps: lowest latency, one core for itself. */
        BUSY,
        /** Spins for a moment, then sleeps until a frame comes. */
        ADAPTIVE,
        /** Sleeps at once until a frame comes: least processor time. */
        SLEEPY
    }

    /**
     * The threads that forward.
     *
     * @param count how many, 1 to {@link #COUNT_MAX}
     * @param idle what each does when there is nothing to do
     * @param cpus processors for lanes, the n-th lane on the n-th; empty for any
     * @param nice nice value of each, -20 to 19: their share of the processors beside others
     */
    public record Lane(int count, Idle idle, List<Integer> cpus, int nice) {
        /** Each has packet buffers and rings of 10 MiB, and a queue of every device. */
        static final int COUNT_MAX = 16;

        /** One, which sleeps when idle, on any processor, before other programs. */
        static final Lane DEFAULTS = new Lane(1, Idle.ADAPTIVE, List.of(), -10);

        private static final Pattern CPUS = Pattern.compile("(\\d{1,4})(?:-(\\d{1,4}))?");

        public Lane {
            cpus = List.copyOf(cpus);
            inRange("lane.count", count, 1, COUNT_MAX);
            inRange("lane.nice", nice, -20, 19);
            if (!cpus.isEmpty() && cpus.size() < count) {
                throw new IllegalArgumentException(
                        "lane.cpus: %d for a lane.count of %d: one for each lane, or none"
                                .formatted(cpus.size(), count));
            }
        }

        /** Reads {@code none}, or a list of numbers and ranges such as {@code 0,2-3}. */
        static List<Integer> cpus(final String text) {
            if (text.equals("none")) {
                return List.of();
            }
            final Set<Integer> numbers = new LinkedHashSet<>();
            for (final String word : List.of(text.split(",", -1))) {
                final Matcher range = CPUS.matcher(word.strip());
                final int first = range.matches() ? Integer.parseInt(range.group(1)) : -1;
                final int last =
                        first < 0 || range.group(2) == null
                                ? first
                                : Integer.parseInt(range.group(2));
                if (first < 0 || last < first || last >= ProcessorShare.PROCESSORS_MAX) {
                    throw new IllegalArgumentException(
                            "\"%s\": none, or a list of processors such as 0,2-3".formatted(text));
                }
                for (int number = first; number <= last; number++) {
                    if (!numbers.add(number)) {
                        throw new IllegalArgumentException(
                                "\"%s\": processor %d is there twice".formatted(text, number));
                    }
                }
            }
            return List.copyOf(numbers);
        }
    }

    /** What the log tells; each level what the ones before it tell, too. */
    public enum LogLevel {
        ERROR,
        WARN,
        INFO,
        DEBUG
    }

    /** Addresses for pods that name none; a family without a pool gives none. */
    public record Pool(Optional<AddressPool> ipv4, Optional<AddressPool> ipv6) {
        public Pool {
            ipv4.ifPresent(pool -> checkFamily("pool.ipv4", pool, true));
            ipv6.ifPresent(pool -> checkFamily("pool.ipv6", pool, false));
        }

        private static void checkFamily(
                final String key, final AddressPool pool, final boolean isIpv4) {
            if (pool.prefix().isIpv4() != isIpv4) {
                throw new IllegalArgumentException(
                        "%s: %s: a prefix of the other family".formatted(key, pool.prefix()));
            }
        }

        /** The pools there are, IPv4 first. */
        public List<AddressPool> all() {
            final List<AddressPool> pools = new ArrayList<>();
            ipv4.ifPresent(pools::add);
            ipv6.ifPresent(pools::add);
            return pools;
        }
    }

    /**
     * Endpoints with an AF_XDP port.
     *
     * @param mode where the XDP program runs
     * @param queues see {@link XdpOptions#queues}
     * @param busyPollUs see {@link XdpOptions#busyPollUs}
     */
    public record Xdp(Mode mode, int queues, int busyPollUs) {
        static final Xdp DEFAULTS = new Xdp(Mode.AUTO, 1, 0);

        /** Where the XDP program runs. */
        public enum Mode {
            /** In the device's driver, or in generic code where the driver takes none. */
            AUTO,
            /** In the kernel's generic code. */
            GENERIC
        }

        public Xdp {
            inRange("port.xdp.queues", queues, 1, XdpQueues.MAX);
            inRange("port.xdp.busyPollUs", busyPollUs, 0, XdpOptions.BUSY_POLL_US_MAX);
        }
    }

    /**
     * The device that joins the host.
     *
     * @param port TAP, or XDP for a veth whose other end is read through AF_XDP as {@code port.xdp}
     *     says
     */
    public record Uplink(boolean enabled, String device, Port port, int mtuBytes) {
        /** What it is. */
        public enum Port {
            TAP,
            XDP
        }

        public Uplink {
            if (!EndpointPlan.isDeviceName(device)) {
                throw new IllegalArgumentException(
                        "uplink.device: \"%s\": %s"
                                .formatted(device, EndpointPlan.DEVICE_NAME_ACCEPTED));
            }
            inRange("uplink.mtu", mtuBytes, MTU_BYTES_MIN, MTU_BYTES_MAX);
        }
    }

    /**
     * Policy as a whole.
     *
     * @param defaultVerdict where no policy answers
     * @param cidrMatches peers beside the world that CIDR rules of Cilium policies match
     * @param audit whether policy is only reported on this node: nothing is denied
     * @param history changes of applied objects that are remembered
     */
    public record Policy(
            DefaultVerdict defaultVerdict,
            Set<CidrMatch> cidrMatches,
            boolean audit,
            History history) {
        public Policy {
            cidrMatches = Set.copyOf(cidrMatches);
        }
    }

    /**
     * How far back {@code policy rollback} reaches; whichever comes first.
     *
     * @param revisions 2 to {@link #REVISIONS_MAX}
     * @param mebibytes size of all of them, in MiB, 1 to {@link #MEBIBYTES_MAX}
     */
    public record History(int revisions, int mebibytes) {
        /** A listing reads them all. */
        public static final int REVISIONS_MAX = 10_000;

        public static final int MEBIBYTES_MAX = 1024;

        /** A change a day for three months; objects of a change are a few KiB. */
        static final History DEFAULTS = new History(100, 64);

        public History {
            inRange(
                    "policy.history.revisions",
                    revisions,
                    PolicyHistory.REVISIONS_MIN,
                    REVISIONS_MAX);
            inRange("policy.history.mebibytes", mebibytes, 1, MEBIBYTES_MAX);
        }
    }

    /**
     * The resolver that plays {@code kube-system/kube-dns}.
     *
     * @param addresses its own, one of each family at most; empty for no resolver
     * @param servers who is asked for names that are not the cluster's; empty for those of this
     *     machine's {@code /etc/resolv.conf}
     * @param domain of the cluster
     * @param inPods whether pods get it as their resolver, see {@link ResolvConf}
     */
    public record Resolver(
            List<IpAddress> addresses, List<IpAddress> servers, String domain, boolean inPods) {
        public Resolver {
            addresses = List.copyOf(addresses);
            servers = List.copyOf(servers);
            checkName("dns.resolver.domain", domain);
            if (addresses.stream().map(IpAddress::isIpv4).distinct().count() < addresses.size()) {
                throw new IllegalArgumentException(
                        "dns.resolver.addresses: one of each family at most");
            }
        }
    }

    /**
     * Names.
     *
     * @param denied how a query that no rule allows is answered
     * @param ttlMinSeconds an address holds at least so long after an answer, 0 to 604,800
     * @param resolver the switch's own
     */
    public record Dns(DnsLimits.DeniedRcode denied, int ttlMinSeconds, Resolver resolver) {
        /** A week. */
        public static final int TTL_SECONDS_MAX = (int) (FqdnLimits.TTL_MAX_MS / 1000);

        public Dns {
            inRange("dns.ttlMinSeconds", ttlMinSeconds, 0, TTL_SECONDS_MAX);
        }

        DnsLimits limits() {
            final DnsLimits defaults = DnsLimits.DEFAULT;
            return new DnsLimits(
                    denied,
                    resolver.domain() + ".",
                    defaults.queryTimeoutMs(),
                    defaults.holdTimeoutMs(),
                    defaults.pendingPerEndpoint(),
                    defaults.heldMax());
        }

        FqdnLimits cache() {
            final FqdnLimits defaults = FqdnLimits.DEFAULT;
            return new FqdnLimits(
                    TimeUnit.SECONDS.toMillis(ttlMinSeconds),
                    defaults.addressesPerName(),
                    defaults.namesPerEndpoint(),
                    defaults.zombiesPerEndpoint(),
                    defaults.zombieCheckMs());
        }
    }

    /**
     * Flows kept on disk, in the state folder.
     *
     * @param mebibytes size of all files together, in MiB, 4 to {@link #MEBIBYTES_MAX}; 0 for none
     * @param hours how long a flow is kept, 1 to {@link #HOURS_MAX}
     */
    public record FlowStorage(int mebibytes, int hours) {
        /** A tebibyte. */
        public static final int MEBIBYTES_MAX = 1 << 20;

        /** Ten years. */
        public static final int HOURS_MAX = 87_600;

        /** A week, or 1 GiB. */
        static final FlowStorage DEFAULTS = new FlowStorage(1024, 168);

        public FlowStorage {
            if (mebibytes != 0) {
                inRange("flows.store.mebibytes", mebibytes, 4, MEBIBYTES_MAX);
            }
            inRange("flows.store.hours", hours, 1, HOURS_MAX);
        }

        Optional<LogLimits> limits() {
            return mebibytes == 0
                    ? Optional.empty()
                    : Optional.of(new LogLimits((long) mebibytes << 20, Duration.ofHours(hours)));
        }
    }

    /**
     * The L7 proxy.
     *
     * @param transport how its event loops talk to the kernel
     * @param loops event loops, 1 to {@link #LOOPS_MAX}
     * @param connections client connections at a time, 1 to {@link #CONNECTIONS_MAX}
     * @param connectTimeoutSeconds how long a server may take to accept
     * @param idleTimeoutSeconds after which a connection without traffic ends
     * @param headTimeoutSeconds how long the head of a request may take to arrive
     * @param kafka limits of Kafka's messages
     */
    public record L7(
            Transport transport,
            int loops,
            int connections,
            int connectTimeoutSeconds,
            int idleTimeoutSeconds,
            int headTimeoutSeconds,
            KafkaLimits kafka) {
        /** More threads than any machine has processors to spare. */
        public static final int LOOPS_MAX = 256;

        /** More would be 20 GB of sockets and buffers. */
        public static final int CONNECTIONS_MAX = 1_000_000;

        private static final int WEEK_SECONDS = 604_800;

        static final L7 DEFAULTS =
                new L7(Transport.EPOLL, 1, 16_384, 5, 3_600, 10, KafkaLimits.DEFAULTS);

        public L7 {
            inRange("l7.loops", loops, 1, LOOPS_MAX);
            inRange("l7.connections", connections, 1, CONNECTIONS_MAX);
            inRange("l7.timeoutSeconds.connect", connectTimeoutSeconds, 1, 300);
            inRange("l7.timeoutSeconds.idle", idleTimeoutSeconds, 1, WEEK_SECONDS);
            inRange("l7.timeoutSeconds.head", headTimeoutSeconds, 1, 600);
        }
    }

    /**
     * Flows for other programs, as lines of JSON. Names are those of Hubble's exporter.
     *
     * @param file absolute path, {@link #STDOUT}, or empty for no export
     * @param fileMaxSizeMb size of a file in MiB, from which on it makes way for a new one; 1 to
     *     {@link #SIZE_MB_MAX}
     * @param fileMaxBackups full files that are kept, 0 to {@link #BACKUPS_MAX}
     * @param fileCompress whether full files are deflated
     * @param selection what of which flows
     * @param kafka the export to a topic
     */
    public record FlowExport(
            Optional<String> file,
            int fileMaxSizeMb,
            int fileMaxBackups,
            boolean fileCompress,
            Selection selection,
            Kafka kafka) {
        /** In the place of a file. */
        public static final String STDOUT = "stdout";

        /** A tebibyte. */
        public static final int SIZE_MB_MAX = 1 << 20;

        /** More names than a folder should have. */
        public static final int BACKUPS_MAX = 10_000;

        /** Hubble's. */
        static final FlowExport DEFAULTS =
                new FlowExport(Optional.empty(), 10, 5, false, Selection.ALL, Kafka.DEFAULTS);

        public FlowExport {
            inRange("flows.export.fileMaxSizeMb", fileMaxSizeMb, 1, SIZE_MB_MAX);
            inRange("flows.export.fileMaxBackups", fileMaxBackups, 0, BACKUPS_MAX);
        }

        /**
         * What of which flows is exported.
         *
         * @param fieldMask fields of a flow that are written; empty for all
         * @param allowList filters as JSON, one of which a flow must match; empty for none
         * @param denyList filters as JSON, none of which a flow may match
         */
        public record Selection(List<String> fieldMask, String allowList, String denyList) {
            /** Every flow, whole. */
            public static final Selection ALL = new Selection(List.of(), "", "");

            public Selection {
                fieldMask = List.copyOf(fieldMask);
            }
        }

        /**
         * The export to a topic of Kafka.
         *
         * @param bootstrapServers brokers that are asked first, HOST:PORT; empty for no export
         * @param topic where lines go
         * @param acks whose word makes a line a written one
         * @param compression of batches
         * @param bufferMebibytes lines that wait and those on their way, in MiB, 1 to {@link
         *     #BUFFER_MEBIBYTES_MAX}
         * @param timeoutSeconds how long a line waits, and how long it may be on its way, 1 to
         *     {@link #TIMEOUT_SECONDS_MAX}
         * @param propertiesFile TLS, SASL and the like, as Kafka's own programs read them
         * @param selection what of which flows
         */
        public record Kafka(
                List<String> bootstrapServers,
                String topic,
                Acks acks,
                Compression compression,
                int bufferMebibytes,
                int timeoutSeconds,
                Optional<Path> propertiesFile,
                Selection selection) {
            /** A tenth of a large machine's memory. */
            public static final int BUFFER_MEBIBYTES_MAX = 16_384;

            /** A day. */
            public static final int TIMEOUT_SECONDS_MAX = 86_400;

            /** Half a minute of a thousand flows a second; Kafka's own time of delivery. */
            static final Kafka DEFAULTS =
                    new Kafka(
                            List.of(),
                            "sluice-flows",
                            Acks.ALL,
                            Compression.NONE,
                            32,
                            120,
                            Optional.empty(),
                            Selection.ALL);

            /**
             * Whose word makes a line a written one. Nobody's (Kafka's {@code 0}) is not offered:
             * then no one would know what is lost.
             */
            public enum Acks {
                /** All replicas in sync: a retry writes nothing twice. */
                ALL,
                /** The leader alone (Kafka's {@code 1}). */
                LEADER
            }

            /** How batches are compressed: what a JDK can do. */
            public enum Compression {
                NONE,
                GZIP
            }

            public Kafka {
                bootstrapServers = List.copyOf(bootstrapServers);
                // org.apache.kafka.common.internals.Topic
                if (!topic.matches("[a-zA-Z0-9._-]{1,249}") || topic.matches("\\.{1,2}")) {
                    throw new IllegalArgumentException(
                            "flows.export.kafka.topic: \"%s\": 1 to 249 letters, digits, '.', '_' and '-'"
                                    .formatted(topic));
                }
                inRange(
                        "flows.export.kafka.bufferMebibytes",
                        bufferMebibytes,
                        1,
                        BUFFER_MEBIBYTES_MAX);
                inRange(
                        "flows.export.kafka.timeoutSeconds",
                        timeoutSeconds,
                        1,
                        TIMEOUT_SECONDS_MAX);
            }
        }
    }

    /**
     * Hubble's observer.
     *
     * @param enabled whether there is one, on {@code hubble.sock} of the run folder
     * @param listen where it is served over TCP as well, with TLS on both sides; empty for nowhere
     * @param certFile the server's certificate and its chain, PEM
     * @param keyFile its key, PEM (PKCS#8)
     * @param clientCaFile who signs clients' certificates, PEM
     */
    public record Hubble(
            boolean enabled,
            Optional<InetSocketAddress> listen,
            Optional<Path> certFile,
            Optional<Path> keyFile,
            Optional<Path> clientCaFile) {
        static final Hubble DEFAULTS =
                new Hubble(
                        true,
                        Optional.empty(),
                        Optional.empty(),
                        Optional.empty(),
                        Optional.empty());

        /**
         * Checks that TCP has what TLS needs.
         *
         * @throws StartupException with the key that is missing
         */
        void requireCertificates() throws StartupException {
            if (listen.isEmpty()) {
                return;
            }
            require("certFile", certFile);
            require("keyFile", keyFile);
            require("clientCaFile", clientCaFile);
        }

        private static void require(final String name, final Optional<Path> file)
                throws StartupException {
            if (file.isEmpty()) {
                throw new StartupException(
                        "hubble.listen.%s: hubble.listen.address is served with TLS only, and needs it"
                                .formatted(name));
            }
        }
    }

    public SluiceConfig {
        checkName("nodeName", nodeName);
        checkName("clusterName", clusterName);
        inRange("mtu", mtuBytes, MTU_BYTES_MIN, MTU_BYTES_MAX);
        inRange("flows.ring", flowRing, 1, FLOW_RING_MAX);
        if (!flowEvents && flowExport.file().isPresent()) {
            throw new IllegalArgumentException(
                    "flows.export.file: flows.enabled is false: there is nothing to export");
        }
    }

    private static int inRange(final String key, final int value, final int min, final int max) {
        if (value < min || value > max) {
            throw new IllegalArgumentException("%s: %d: %d to %d".formatted(key, value, min, max));
        }
        return value;
    }

    private static void checkName(final String key, final String name) {
        if (!name.matches("[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")) {
            throw new IllegalArgumentException(
                    "%s: \"%s\": lower-case letters, digits, '-' and '.', at most 253"
                            .formatted(key, name));
        }
    }

    /**
     * What a daemon without a configuration file runs with.
     *
     * @param hostName this machine's name
     */
    public static SluiceConfig defaults(final String hostName) {
        return new SluiceConfig(
                hostName.toLowerCase(Locale.ROOT),
                "default",
                Path.of("/run/sluice"),
                Path.of("/var/lib/sluice"),
                1500,
                new Pool(Optional.of(pool("10.244.0.0/24")), Optional.of(pool("fd00:10:244::/64"))),
                Xdp.DEFAULTS,
                new Uplink(true, "sluice0", Uplink.Port.TAP, 1500),
                new Policy(DefaultVerdict.ALLOW, Set.of(), false, History.DEFAULTS),
                ConntrackConfig.defaults(),
                new Dns(
                        DnsLimits.DeniedRcode.REFUSED,
                        60,
                        new Resolver(
                                List.of(IpAddress.ofIpv4(0x0a60000a)),
                                List.of(),
                                "cluster.local",
                                true)),
                Lane.DEFAULTS,
                true,
                4095,
                true,
                FlowRedaction.DEFAULTS,
                FlowStorage.DEFAULTS,
                FlowExport.DEFAULTS,
                L7.DEFAULTS,
                Hubble.DEFAULTS,
                Optional.of(
                        new InetSocketAddress(InetAddress.ofLiteral("127.0.0.1"), METRICS_PORT)),
                LogLevel.INFO);
    }

    /**
     * The configuration that a file's settings make of the defaults.
     *
     * @throws StartupException with a line for every problem
     */
    static SluiceConfig from(final Settings settings, final SluiceConfig defaults)
            throws StartupException {
        final int mtu =
                build(
                        settings,
                        defaults.mtuBytes(),
                        () ->
                                inRange(
                                        "mtu",
                                        settings.number("mtu", defaults.mtuBytes()),
                                        MTU_BYTES_MIN,
                                        MTU_BYTES_MAX));
        final Pool pool =
                build(
                        settings,
                        defaults.pool(),
                        () ->
                                new Pool(
                                        pool(settings, "pool.ipv4", defaults.pool().ipv4()),
                                        pool(settings, "pool.ipv6", defaults.pool().ipv6())));
        final Xdp xdp =
                build(
                        settings,
                        defaults.xdp(),
                        () ->
                                new Xdp(
                                        settings.choice("port.xdp.mode", defaults.xdp().mode()),
                                        settings.number("port.xdp.queues", defaults.xdp().queues()),
                                        settings.number(
                                                "port.xdp.busyPollUs",
                                                defaults.xdp().busyPollUs())));
        final Uplink uplink =
                build(
                        settings,
                        defaults.uplink(),
                        () ->
                                new Uplink(
                                        settings.flag(
                                                "uplink.enabled", defaults.uplink().enabled()),
                                        settings.text("uplink.device", defaults.uplink().device()),
                                        settings.choice("uplink.port", defaults.uplink().port()),
                                        settings.number("uplink.mtu", mtu)));
        final Policy policy =
                new Policy(
                        settings.choice("policy.default", defaults.policy().defaultVerdict()),
                        settings.value(
                                "policy.cidrMatch",
                                defaults.policy().cidrMatches(),
                                SluiceConfig::cidrMatches),
                        settings.flag("policy.audit", defaults.policy().audit()),
                        build(
                                settings,
                                defaults.policy().history(),
                                () -> history(settings, defaults.policy().history())));
        final ConntrackConfig conntrack =
                build(
                        settings,
                        defaults.conntrack(),
                        () -> conntrack(settings, defaults.conntrack()));
        final Dns dns =
                build(
                        settings,
                        defaults.dns(),
                        () ->
                                new Dns(
                                        settings.choice("dns.denied", defaults.dns().denied()),
                                        settings.number(
                                                "dns.ttlMinSeconds",
                                                defaults.dns().ttlMinSeconds()),
                                        resolver(settings, defaults.dns().resolver())));
        final FlowRedaction redaction =
                build(
                        settings,
                        defaults.redaction(),
                        () -> redaction(settings, defaults.redaction()));
        final FlowStorage flowStore =
                build(
                        settings,
                        defaults.flowStore(),
                        () ->
                                new FlowStorage(
                                        settings.number(
                                                "flows.store.mebibytes",
                                                defaults.flowStore().mebibytes()),
                                        settings.number(
                                                "flows.store.hours",
                                                defaults.flowStore().hours())));
        final FlowExport flowExport =
                build(
                        settings,
                        defaults.flowExport(),
                        () -> flowExport(settings, defaults.flowExport()));
        final L7 l7 = build(settings, defaults.l7(), () -> l7(settings, defaults.l7()));
        final Lane lane =
                build(
                        settings,
                        defaults.lane(),
                        () ->
                                new Lane(
                                        settings.number("lane.count", defaults.lane().count()),
                                        settings.choice("lane.idle", defaults.lane().idle()),
                                        settings.value(
                                                "lane.cpus", defaults.lane().cpus(), Lane::cpus),
                                        settings.number("lane.nice", defaults.lane().nice())));
        final SluiceConfig config =
                build(
                        settings,
                        defaults,
                        () ->
                                new SluiceConfig(
                                        settings.text("nodeName", defaults.nodeName()),
                                        settings.text("clusterName", defaults.clusterName()),
                                        folder(settings, "runFolder", defaults.runFolder()),
                                        folder(settings, "stateFolder", defaults.stateFolder()),
                                        mtu,
                                        pool,
                                        xdp,
                                        uplink,
                                        policy,
                                        conntrack,
                                        dns,
                                        lane,
                                        settings.flag("flows.enabled", defaults.flowEvents()),
                                        settings.number("flows.ring", defaults.flowRing()),
                                        settings.flag("flows.ends", defaults.flowEnds()),
                                        redaction,
                                        flowStore,
                                        flowExport,
                                        l7,
                                        hubble(settings, defaults.hubble()),
                                        settings.value(
                                                "metrics.address",
                                                defaults.metrics(),
                                                SluiceConfig::listenAddress),
                                        settings.choice("log.level", defaults.logLevel())));
        final List<String> problems = settings.problems();
        if (!problems.isEmpty()) {
            throw new StartupException(String.join("\n", problems));
        }
        return config;
    }

    private static ConntrackConfig conntrack(
            final Settings settings, final ConntrackConfig defaults) {
        return new ConntrackConfig(
                settings.number("conntrack.flows", defaults.capacityFlows()),
                settings.number("conntrack.flowsIpv6", defaults.capacityFlowsIpv6()),
                seconds(settings, "tcpSyn", defaults.tcpSynTimeoutNs()),
                seconds(settings, "tcpEstablished", defaults.tcpEstablishedTimeoutNs()),
                seconds(settings, "tcpFinWait", defaults.tcpFinWaitTimeoutNs()),
                seconds(settings, "tcpClosing", defaults.tcpClosingTimeoutNs()),
                seconds(settings, "udpUnreplied", defaults.udpUnrepliedTimeoutNs()),
                seconds(settings, "udpReplied", defaults.udpRepliedTimeoutNs()),
                seconds(settings, "udpStream", defaults.udpStreamTimeoutNs()),
                seconds(settings, "icmp", defaults.icmpTimeoutNs()),
                seconds(settings, "other", defaults.otherTimeoutNs()),
                settings.flag("conntrack.tcpLoose", defaults.tcpLoose()),
                settings.flag("conntrack.tcpWindowCheck", defaults.tcpWindowCheck()));
    }

    private static Resolver resolver(final Settings settings, final Resolver defaults) {
        return new Resolver(
                settings.value(
                        "dns.resolver.addresses", defaults.addresses(), SluiceConfig::addresses),
                settings.value("dns.resolver.servers", defaults.servers(), SluiceConfig::addresses),
                settings.text("dns.resolver.domain", defaults.domain()),
                settings.flag("dns.resolver.inPods", defaults.inPods()));
    }

    private static List<IpAddress> addresses(final String text) {
        final List<IpAddress> addresses = new ArrayList<>();
        for (final String word : List.of(text.split(",", -1))) {
            switch (word.strip()) {
                case "none", "" -> {}
                default -> addresses.add(address(word.strip()));
            }
        }
        return addresses;
    }

    private static IpAddress address(final String word) {
        return IpAddress.parse(word)
                .orElseThrow(
                        () ->
                                new IllegalArgumentException(
                                        "\"%s\": none, or a list of addresses".formatted(word)));
    }

    private static FlowRedaction redaction(final Settings settings, final FlowRedaction defaults) {
        return new FlowRedaction(
                settings.flag("flows.redact.enabled", defaults.enabled()),
                settings.flag("flows.redact.http.urlQuery", defaults.urlQuery()),
                settings.flag("flows.redact.http.userInfo", defaults.userInfo()),
                settings.flag("flows.redact.kafka.apiKey", defaults.kafkaApiKey()),
                settings.value(
                        "flows.redact.http.headers.allow",
                        defaults.headersAllowed(),
                        SluiceConfig::headers),
                settings.value(
                        "flows.redact.http.headers.deny",
                        defaults.headersDenied(),
                        SluiceConfig::headers));
    }

    private static Set<String> headers(final String text) {
        final Set<String> headers = new TreeSet<>();
        for (final String word : List.of(text.split(",", -1))) {
            final String name = word.strip().toLowerCase(Locale.ROOT);
            if (!name.matches("[a-z0-9!#$%&'*+.^_`|~-]*")) {
                throw new IllegalArgumentException(
                        "\"%s\": a list of names of headers".formatted(word));
            }
            if (!name.isEmpty()) {
                headers.add(name);
            }
        }
        return headers;
    }

    private static FlowExport flowExport(final Settings settings, final FlowExport defaults) {
        return new FlowExport(
                settings.value("flows.export.file", defaults.file(), SluiceConfig::exportFile),
                settings.number("flows.export.fileMaxSizeMb", defaults.fileMaxSizeMb()),
                settings.number("flows.export.fileMaxBackups", defaults.fileMaxBackups()),
                settings.flag("flows.export.fileCompress", defaults.fileCompress()),
                selection(settings, "flows.export.", defaults.selection()),
                build(settings, defaults.kafka(), () -> exportKafka(settings, defaults.kafka())));
    }

    private static FlowExport.Selection selection(
            final Settings settings, final String prefix, final FlowExport.Selection defaults) {
        return new FlowExport.Selection(
                settings.value(prefix + "fieldMask", defaults.fieldMask(), SluiceConfig::fields),
                settings.text(prefix + "allowList", defaults.allowList()),
                settings.text(prefix + "denyList", defaults.denyList()));
    }

    private static FlowExport.Kafka exportKafka(
            final Settings settings, final FlowExport.Kafka defaults) {
        final String prefix = "flows.export.kafka.";
        return new FlowExport.Kafka(
                settings.value(
                        prefix + "bootstrapServers",
                        defaults.bootstrapServers(),
                        SluiceConfig::brokers),
                settings.text(prefix + "topic", defaults.topic()),
                settings.choice(prefix + "acks", defaults.acks()),
                settings.choice(prefix + "compression", defaults.compression()),
                settings.number(prefix + "bufferMebibytes", defaults.bufferMebibytes()),
                settings.number(prefix + "timeoutSeconds", defaults.timeoutSeconds()),
                file(settings, prefix + "propertiesFile", defaults.propertiesFile()),
                selection(settings, prefix, defaults.selection()));
    }

    /** Names are resolved when the export connects, and again when it has to connect anew. */
    private static List<String> brokers(final String text) {
        if (text.equals("none")) {
            return List.of();
        }
        final List<String> brokers = new ArrayList<>();
        for (final String word : List.of(text.split(",", -1))) {
            final String broker = word.strip();
            final int colon = broker.lastIndexOf(':');
            final String host = broker.substring(0, Math.max(0, colon));
            if (!host.matches("[A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+]")
                    || !isPort(broker.substring(colon + 1))) {
                throw new IllegalArgumentException(
                        "\"%s\": none, or a list of brokers such as kafka-1:9092"
                                .formatted(broker));
            }
            brokers.add(broker);
        }
        return brokers;
    }

    private static boolean isPort(final String text) {
        return text.matches("[0-9]{1,5}")
                && Integer.parseInt(text) > 0
                && Integer.parseInt(text) <= PORT_MAX;
    }

    private static Optional<String> exportFile(final String text) {
        return switch (text) {
            case "none" -> Optional.empty();
            case FlowExport.STDOUT -> Optional.of(text);
            default -> Optional.of(absolute(text).toString());
        };
    }

    private static List<String> fields(final String text) {
        final List<String> fields = new ArrayList<>();
        for (final String word : List.of(text.split(",", -1))) {
            if (!word.strip().matches("[A-Za-z0-9_]+(\\.[A-Za-z0-9_]+)*")) {
                throw new IllegalArgumentException(
                        "\"%s\": a list of fields such as source.namespace".formatted(word));
            }
            fields.add(word.strip());
        }
        return fields;
    }

    private static Hubble hubble(final Settings settings, final Hubble defaults) {
        return new Hubble(
                settings.flag("hubble.enabled", defaults.enabled()),
                settings.value(
                        "hubble.listen.address", defaults.listen(), SluiceConfig::listenAddress),
                file(settings, "hubble.listen.certFile", defaults.certFile()),
                file(settings, "hubble.listen.keyFile", defaults.keyFile()),
                file(settings, "hubble.listen.clientCaFile", defaults.clientCaFile()));
    }

    private static Optional<Path> file(
            final Settings settings, final String key, final Optional<Path> fallback) {
        return settings.value(key, fallback, text -> Optional.of(absolute(text)));
    }

    private static L7 l7(final Settings settings, final L7 defaults) {
        return new L7(
                settings.choice("l7.transport", defaults.transport()),
                settings.number("l7.loops", defaults.loops()),
                settings.number("l7.connections", defaults.connections()),
                settings.number("l7.timeoutSeconds.connect", defaults.connectTimeoutSeconds()),
                settings.number("l7.timeoutSeconds.idle", defaults.idleTimeoutSeconds()),
                settings.number("l7.timeoutSeconds.head", defaults.headTimeoutSeconds()),
                kafka(settings, defaults.kafka()));
    }

    private static KafkaLimits kafka(final Settings settings, final KafkaLimits defaults) {
        return new KafkaLimits(
                limit(settings, "requestBytes", defaults.requestBytesMax(), KIB, Integer.MAX_VALUE),
                limit(settings, "heldBytes", defaults.heldBytesMax(), KIB, 256 * MIB),
                (long) MIB
                        * limit(
                                settings,
                                "heldMebibytesTotal",
                                (int) (defaults.heldBytesTotalMax() / MIB),
                                1,
                                MIB),
                limit(settings, "answerHeldBytes", defaults.answerHeldBytesMax(), KIB, 256 * MIB),
                limit(settings, "topics", defaults.topicsMax(), 1, 1_000_000),
                limit(settings, "inFlight", defaults.inFlightMax(), 1, 10_000),
                limit(settings, "topicIds", defaults.topicIdsMax(), 1, 10_000_000));
    }

    private static int limit(
            final Settings settings,
            final String name,
            final int fallback,
            final int min,
            final int max) {
        final String key = "l7.kafka." + name;
        return inRange(key, settings.number(key, fallback), min, max);
    }

    private static long seconds(final Settings settings, final String name, final long defaultNs) {
        final int seconds =
                settings.number(
                        "conntrack.timeoutSeconds." + name,
                        (int) TimeUnit.NANOSECONDS.toSeconds(defaultNs));
        return TimeUnit.SECONDS.toNanos(seconds);
    }

    /** A part of the configuration; what its constructor refuses becomes a problem of the file. */
    private static <T> T build(
            final Settings settings, final T fallback, final Supplier<T> constructor) {
        try {
            return constructor.get();
        } catch (final IllegalArgumentException e) {
            final String[] keyAndRest = String.valueOf(e.getMessage()).split(": ", 2);
            settings.wrong(keyAndRest[0], keyAndRest[keyAndRest.length - 1]);
            return fallback;
        }
    }

    private static Optional<AddressPool> pool(
            final Settings settings, final String key, final Optional<AddressPool> fallback) {
        return settings.value(
                key,
                fallback,
                text -> text.equals("none") ? Optional.empty() : Optional.of(pool(text)));
    }

    private static AddressPool pool(final String text) {
        return new AddressPool(
                Cidr.parse(text)
                        .filter(prefix -> !Cidr.hasHostBits(text))
                        .orElseThrow(
                                () ->
                                        new IllegalArgumentException(
                                                "\"%s\": a prefix such as 10.244.0.0/24, or none"
                                                        .formatted(text))));
    }

    private static Optional<InetSocketAddress> listenAddress(final String text) {
        if (text.equals("none")) {
            return Optional.empty();
        }
        final int colon = text.lastIndexOf(':');
        final String host = text.substring(0, Math.max(0, colon)).replaceAll("^\\[(.*:.*)]$", "$1");
        final String port = text.substring(colon + 1);
        if (!isPort(port)) {
            throw new IllegalArgumentException(LISTEN_ADDRESS.formatted(text));
        }
        try {
            return Optional.of(
                    new InetSocketAddress(InetAddress.ofLiteral(host), Integer.parseInt(port)));
        } catch (final IllegalArgumentException e) {
            throw new IllegalArgumentException(LISTEN_ADDRESS.formatted(text), e);
        }
    }

    private static final int PORT_MAX = 65_535;

    private static final String LISTEN_ADDRESS =
            "\"%s\": an address and a port such as 127.0.0.1:9962 or [::1]:9962, or none";

    private static Path folder(final Settings settings, final String key, final Path fallback) {
        return settings.value(key, fallback, SluiceConfig::absolute);
    }

    private static Path absolute(final String text) {
        final Path path = Path.of(text);
        if (!path.isAbsolute()) {
            throw new IllegalArgumentException("\"%s\": an absolute path".formatted(text));
        }
        return path;
    }

    private static Set<CidrMatch> cidrMatches(final String text) {
        final Set<CidrMatch> matches = new TreeSet<>();
        for (final String word : List.of(text.split(",", -1))) {
            switch (word.strip()) {
                case "pods" -> matches.add(CidrMatch.PODS);
                case "nodes" -> matches.add(CidrMatch.NODES);
                case "none", "" -> {}
                default ->
                        throw new IllegalArgumentException(
                                "\"%s\": none, or a list of pods and nodes".formatted(word));
            }
        }
        return matches;
    }

    private static History history(final Settings settings, final History defaults) {
        return new History(
                settings.number("policy.history.revisions", defaults.revisions()),
                settings.number("policy.history.mebibytes", defaults.mebibytes()));
    }

    /** The same with another run folder, as {@code --run-folder} says. */
    public SluiceConfig withRunFolder(final Path folder) {
        return new SluiceConfig(
                nodeName,
                clusterName,
                folder,
                stateFolder,
                mtuBytes,
                pool,
                xdp,
                uplink,
                policy,
                conntrack,
                dns,
                lane,
                flowEvents,
                flowRing,
                flowEnds,
                redaction,
                flowStore,
                flowExport,
                l7,
                hubble,
                metrics,
                logLevel);
    }
}
