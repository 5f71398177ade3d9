package io.sluice.control.agent;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.LoggerContext;
import io.sluice.conntrack.Conntrack;
import io.sluice.conntrack.FragmentTable;
import io.sluice.control.agent.HandoverSocket.HandoverException;
import io.sluice.control.agent.PortFactory.AttachException;
import io.sluice.control.agent.RunOptions.TakeOver;
import io.sluice.control.agent.dns.DnsConversation;
import io.sluice.control.agent.dns.Resolver;
import io.sluice.control.agent.flowlog.FlowLog;
import io.sluice.control.agent.state.NameChanges;
import io.sluice.control.agent.state.StateException;
import io.sluice.control.agent.state.StateStore;
import io.sluice.control.policy.IdentityAllocator;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.Problem;
import io.sluice.dataplane.FlowEvents;
import io.sluice.dataplane.ForwardingLoop;
import io.sluice.dataplane.Gateway;
import io.sluice.dataplane.Lane;
import io.sluice.dataplane.LaneCounters;
import io.sluice.dataplane.PuntRings;
import io.sluice.dataplane.port.Port;
import io.sluice.dnsproxy.DnsClock;
import io.sluice.dnsproxy.DnsEvents;
import io.sluice.dnsproxy.cache.FqdnRecord;
import io.sluice.l7proxy.ProxyCounters;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Clock;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BiConsumer;
import java.util.function.ObjIntConsumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The daemon: everything is made here, in the order of its dependencies, and closed in reverse.
 * Read this file first to see what the switch consists of.
 *
 * <pre>
 *   configuration, run folder, state folder
 *   conntrack, counters, flow ring  -&gt;  forwarding loops, lanes
 *   objects, address book, folders  -&gt;  endpoints, uplink, publisher, reconciler on the control thread
 *   L7 proxy, when a policy needs it
 *   folder watcher, API, Hubble's observer, export
 * </pre>
 *
 * <p>Nothing is open before it is judged: the lanes start with tables that forward nothing, and get
 * ports after the first policy is live. A stop removes every device, route and file of the run
 * folder; a crash leaves devices in place, closed, and the next start takes them over. {@code
 * --replace} takes them from a daemon that runs ({@link HandoverServer}).
 *
 * <p>Thread: {@link #run} the caller's, until the daemon ends.
 */
public final class SluiceMain implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(SluiceMain.class);

    /** Exit code of a daemon that was asked to stop. */
    public static final int EXIT_STOPPED = 0;

    /** Exit code of a daemon that could not start, or failed. */
    public static final int EXIT_FAILED = 1;

    /** How often a signal that waits for the orderly stop says so, in seconds. */
    private static final long STOP_REPORT_SECONDS = 30;

    /** The node's name where the host has none that can be a node's. */
    private static final String UNNAMED = "localhost";

    private static final Path TUN_DEVICE = Path.of("/dev/net/tun");

    /** Bits of the effective capabilities (include/uapi/linux/capability.h). */
    private static final long CAP_NET_ADMIN = 1L << 12;

    private static final long CAP_SYS_ADMIN = 1L << 21;

    /** What was made, the latest first. */
    private final Deque<AutoCloseable> made = new ArrayDeque<>();

    /** The connection to a successor, whose end tells it that everything here is closed. */
    private final AtomicReference<Optional<AutoCloseable>> toCloseLast =
            new AtomicReference<>(Optional.empty());

    private final Stop stop;
    private final AtomicBoolean failed = new AtomicBoolean();
    private final SluiceConfig config;
    private final AtomicReference<Optional<ControlPlane>> control =
            new AtomicReference<>(Optional.empty());

    private SluiceMain(final SluiceConfig config, final Stop stop) {
        this.config = config;
        this.stop = stop;
    }

    /**
     * Runs the daemon until it is told to stop by a signal or the API.
     *
     * @param errors where a failed start says why, one line per problem
     * @return exit code
     */
    public static int run(
            final RunOptions options, final Servers servers, final PrintStream errors) {
        final Stop stop = new Stop();
        stop.onSignal();
        try {
            final SluiceConfig config = configuration(options, NodeAddresses.hostName());
            setLogLevel(config.logLevel());
            requirePrivileges();
            Thread.ofPlatform().name("sluice-prepare").daemon().start(StateStore::prepare);
            try (SluiceMain daemon =
                    start(
                            config,
                            options.manifests(),
                            options.takeOver(),
                            servers,
                            stop,
                            new TapPorts(config.xdp(), config.lane().count()))) {
                return daemon.awaitStop();
            }
        } catch (final StartupException e) {
            String.valueOf(e.getMessage())
                    .lines()
                    .forEach(line -> errors.println("sluice: " + line));
            return EXIT_FAILED;
        } finally {
            stop.closed.countDown();
        }
    }

    /**
     * The defaults, the file, the command line.
     *
     * @param hostName this machine's name; the node's where the file does not say
     */
    static SluiceConfig configuration(final RunOptions options, final String hostName)
            throws StartupException {
        Settings settings = Settings.none();
        if (options.configFile().isPresent()) {
            final Path file = options.configFile().get();
            try {
                settings = Settings.parse(file.toString(), Files.readString(file));
            } catch (final IOException e) {
                throw new StartupException(
                        "%s: the configuration cannot be read: %s".formatted(file, e), e);
            }
        }
        final SluiceConfig config = SluiceConfig.from(settings, defaults(hostName));
        config.hubble().requireCertificates();
        if (config.nodeName().equals(UNNAMED)) {
            LOG.warn(
                    "the node is called {}, because the host's name is \"{}\": nodeName in the"
                            + " configuration names it",
                    UNNAMED,
                    hostName);
        }
        return options.runFolder()
                .map(Path::toAbsolutePath)
                .map(config::withRunFolder)
                .orElse(config);
    }

    /** The defaults; Linux takes host names that are no node names, such as with underscores. */
    private static SluiceConfig defaults(final String hostName) {
        try {
            return SluiceConfig.defaults(hostName);
        } catch (final IllegalArgumentException e) {
            LOG.debug("the host's name is not the node's", e);
            return SluiceConfig.defaults(UNNAMED);
        }
    }

    private static void setLogLevel(final SluiceConfig.LogLevel level) {
        if (LoggerFactory.getILoggerFactory() instanceof final LoggerContext logback) {
            logback.getLogger(Logger.ROOT_LOGGER_NAME)
                    .setLevel(
                            switch (level) {
                                case ERROR -> Level.ERROR;
                                case WARN -> Level.WARN;
                                case INFO -> Level.INFO;
                                case DEBUG -> Level.DEBUG;
                            });
        }
    }

    /** Fails early and in one line, where the first system call would fail late and in its own. */
    private static void requirePrivileges() throws StartupException {
        if (!Files.exists(TUN_DEVICE)) {
            throw new StartupException(
                    "%s is not there: modprobe tun; in a container, pass the device: --device %s"
                            .formatted(TUN_DEVICE, TUN_DEVICE));
        }
        try {
            final long effective =
                    Files.readAllLines(Path.of("/proc/self/status")).stream()
                            .filter(line -> line.startsWith("CapEff:"))
                            .mapToLong(
                                    line ->
                                            Long.parseUnsignedLong(
                                                    line.substring("CapEff:".length()).strip(), 16))
                            .findFirst()
                            .orElse(0);
            if ((effective & CAP_NET_ADMIN) == 0 || (effective & CAP_SYS_ADMIN) == 0) {
                throw new StartupException(
                        "the capabilities CAP_NET_ADMIN and CAP_SYS_ADMIN are needed to make"
                                + " devices in namespaces: run as root");
            }
        } catch (final IOException e) {
            throw new StartupException("/proc/self/status: %s".formatted(e), e);
        }
    }

    /**
     * Makes the daemon.
     *
     * @param own makes devices, where no predecessor passes them on
     * @throws StartupException when it cannot start; nothing is left behind, and a daemon that was
     *     to hand over goes on
     */
    static SluiceMain start(
            final SluiceConfig config,
            final List<Path> manifests,
            final TakeOver takeOver,
            final Servers servers,
            final Stop stop,
            final PortFactory own)
            throws StartupException {
        final SluiceMain daemon = new SluiceMain(config, stop);
        try {
            daemon.make(manifests, takeOver, servers, own);
            return daemon;
        } catch (final StartupException e) {
            daemon.close();
            throw e;
        } catch (final IOException e) {
            daemon.close();
            throw new StartupException(String.valueOf(e.getMessage()), e);
        } catch (final RequestException e) {
            daemon.close();
            throw new StartupException(String.valueOf(e.getMessage()), e);
        } catch (final RuntimeException e) {
            daemon.close();
            throw e;
        }
    }

    private void make(
            final List<Path> manifests,
            final TakeOver takeOver,
            final Servers servers,
            final PortFactory own)
            throws StartupException, IOException {
        requireProcessors(config.lane().cpus());
        if (takeOver == TakeOver.REPLACE) {
            // Whoever forwards now needs the processors more.
            ProcessorShare.standBack();
        }
        // What people wrote is read first: a mistake in it must not touch a running network.
        final ManifestFolders folders = readManifests(manifests);
        final Optional<HandoverClient> predecessor =
                takeOver == TakeOver.REPLACE ? askPredecessor() : Optional.empty();
        final Optional<InheritedPorts> inherited =
                predecessor.map(
                        handover ->
                                new InheritedPorts(
                                        new TapPorts(config.xdp(), config.lane().count()),
                                        handover));
        final RunFolder runFolder =
                keep(
                        predecessor.isPresent()
                                ? RunFolder.takeOver(config.runFolder(), config.stateFolder())
                                : RunFolder.open(config.runFolder(), config.stateFolder()));
        // These open beside what follows: a start after a crash is short of time.
        final SecureRandom dice = new SecureRandom();
        final FlowFile flowFile = keep(new FlowFile(runFolder.folder().resolve("conntrack")));
        final FutureTask<Conntrack> openingFlows =
                openBeside(
                        "sluice-conntrack",
                        () ->
                                predecessor.isPresent()
                                        ? flowFile.share(config.conntrack(), dice)
                                        : flowFile.open(config.conntrack(), dice));
        final FutureTask<StateStore> openingState =
                openBeside(
                        "sluice-state",
                        () -> StateStore.open(config.stateFolder(), Clock.systemUTC()));
        final FutureTask<FlowHistory> openingHistory =
                openBeside(
                        "sluice-flow-log",
                        () ->
                                FlowHistory.open(
                                        config.stateFolder().resolve(StoredFlows.FOLDER),
                                        config.flowEvents()
                                                ? config.flowStore().limits()
                                                : Optional.empty(),
                                        predecessor.isPresent()
                                                ? FlowLog.Start.BESIDE
                                                : FlowLog.Start.ALONE));
        final ObjectStore store = ObjectStore.load(config.stateFolder().resolve("objects"));
        store.setFolderContent(folders.objects(), folders.problems());
        final Rollouts rollouts = rollouts(store);
        final AddressBook book = AddressBook.load(config.stateFolder().resolve("addresses"));
        final PortFactory ports =
                inherited.isPresent() ? inherited.get() : prepared(own, store, book);

        // The lanes and what they own.
        final LaneCounterFile counterFile =
                keep(
                        LaneCounterFile.create(
                                runFolder.folder().resolve("counters"), config.lane().count()));
        final FlowHistory history = opened(openingHistory, "the flow store");
        history.start();
        final FlowCounts flowCounts = new FlowCounts();
        final FlowStore flows =
                config.flowEvents()
                        ? new FlowStore(config.flowRing(), flowCounts::count, history)
                        : FlowStore.off(history);
        final AtomicReference<PolicyPublisher> publisherOfEvents = new AtomicReference<>();
        final FlowRecorder recorder =
                keep(
                        new FlowRecorder(
                                config.nodeName(),
                                config.lane().count(),
                                flows,
                                revision -> publisherOfEvents.get().ofRevision(revision),
                                System::nanoTime));
        if (!config.flowEnds()) {
            recorder.leaveOutEnds();
        }
        final ControlThread controlThread = new ControlThread(this::controlFailed);
        final AtomicReference<Reconciler> reconcilerOfPorts = new AtomicReference<>();
        final Conntrack conntrack = opened(openingFlows, "conntrack");
        final List<LaneThread> lanes =
                lanes(
                        conntrack,
                        counterFile,
                        config.flowEvents() ? recorder : FlowEvents.NONE,
                        (port, index) ->
                                portGone(reconcilerOfPorts.get(), controlThread, port, index),
                        dice);
        keep(controlThread);

        // Control and what it owns.
        final LaneMailbox mailbox = new LaneMailbox(lanes);
        final StateStore state = opened(openingState, "the state folder");
        final ProxyCounters proxyCounters = new ProxyCounters();
        final RuleCounts ruleCounts = new RuleCounts();
        final AtomicReference<DnsAgent> dnsOfConnections = new AtomicReference<>();
        final RequestRecorder requests =
                new RequestRecorder(
                        config.nodeName(),
                        flows,
                        () -> publisherOfEvents.get().newest(),
                        config.redaction(),
                        ruleCounts,
                        Clock.systemUTC());
        final L7Proxy l7Proxy =
                new L7Proxy(
                        config.l7(),
                        new RedirectedFlows(
                                conntrack,
                                () -> publisherOfEvents.get().newest(),
                                ruleCounts,
                                System::nanoTime),
                        proxyCounters,
                        new SecretKeys(() -> publisherOfEvents.get().newest().world()),
                        requests,
                        link -> new DnsConversation(link, dnsOfConnections.get()));
        final ProxyPort proxy = new ProxyPort(ports, mailbox, l7Proxy::start);
        final PolicyPublisher publisher =
                new PolicyPublisher(
                        mailbox,
                        predecessor.map(HandoverClient::revision).orElse(0),
                        new IdentityAllocator(state.identities()),
                        parsers -> {
                            l7Proxy.prepare(parsers);
                            proxy.require();
                        });
        publisherOfEvents.set(publisher);
        final Endpoints endpoints =
                new Endpoints(
                        ports,
                        mailbox,
                        config.uplink().enabled()
                                ? Optional.of(config.uplink().device())
                                : Optional.empty(),
                        new ResolvConf(
                                ResolvConf.FOLDER,
                                config.dns().resolver(),
                                () -> ResolverPod.isIn(publisher.live().world())));
        final Uplink uplink = new Uplink(config, ports, mailbox);
        final Reconciler reconciler =
                new Reconciler(
                        config,
                        store,
                        book,
                        endpoints,
                        uplink,
                        proxy,
                        publisher,
                        new StateRecorder(state, config.pool().all()));
        reconcilerOfPorts.set(reconciler);

        // Names, and what is known of them before the first packet.
        final DnsParts dns =
                dns(
                        new PuntRings(lanes.stream().map(lane -> lane.loop().punts()).toList()),
                        conntrack,
                        publisher,
                        controlThread,
                        reconciler,
                        state,
                        requests);
        dnsOfConnections.set(dns.agent);
        recorder.watchDrops(dns.released::dropped);

        lanes.forEach(lane -> lane.lane().start());
        keep(() -> controlThread.callUnlimited(() -> removeAll(reconciler)));
        dns.agent.start();
        controlThread.callUnlimited(
                () -> {
                    dns.names.restore(dns.remembered);
                    // Compiled before the first device is made: a predecessor forwards until then.
                    reconciler.judge();
                    if (inherited.isPresent()) {
                        WarmUp.run();
                        // From here to the open ports nobody forwards, and all wait for this.
                        ProcessorShare.ofLane(config.lane().nice());
                    }
                    createUplink(uplink);
                    reconciler.reconcile();
                    return reconciler;
                });
        if (inherited.isPresent()) {
            completeHandover(inherited.get(), dns.agent);
            history.adopt();
            ProcessorShare.comeForward();
            controlThread.callUnlimited(
                    () -> {
                        ProcessorShare.ordinary();
                        return reconciler;
                    });
        }
        final CutLog cutLog = keep(new CutLog(conntrack, System::nanoTime));
        controlThread.everySecond(
                () -> {
                    told(cutLog, publisher, () -> rollouts.tick(reconciler));
                    reconciler.tick();
                    dns.names.tick();
                });
        keep(
                new FolderWatcher(
                        folders,
                        () ->
                                foldersChanged(
                                        folders,
                                        controlThread,
                                        (objects, problems) ->
                                                told(
                                                        cutLog,
                                                        publisher,
                                                        () -> {
                                                            store.setFolderContent(
                                                                    objects, problems);
                                                            reconciler.reconcileUnasked();
                                                        })),
                        this::controlFailed));

        // The outside.
        final Exports exports = new Exports();
        final ControlAgent agent =
                new ControlAgent(
                        new ControlAgent.Parts(
                                config,
                                manifests.stream().map(Path::toString).toList(),
                                controlThread,
                                store,
                                rollouts,
                                reconciler,
                                publisher,
                                conntrack,
                                lanes.stream().map(LaneThread::counters).toList(),
                                counterFile,
                                flows,
                                history,
                                recorder,
                                dns.agent,
                                proxy,
                                proxyCounters,
                                flowCounts,
                                exports,
                                () -> lanes.stream().allMatch(lane -> lane.lane().isAlive()),
                                ruleCounts,
                                System::nanoTime,
                                new PacketTracer(
                                        mailbox,
                                        publisher::live,
                                        publisher::ofRevision,
                                        System::nanoTime),
                                stop::request));
        control.set(Optional.of(agent));
        keep(servers.control().start(runFolder.socket(), config.metrics(), agent));
        keep(servers.flows().start(runFolder.hubbleSocket(), config, agent));
        keep(servers.export().start(config, agent, exports));
        keep(
                HandoverServer.start(
                        runFolder.handoverSocket(),
                        controlThread,
                        new Handover(
                                runFolder,
                                flowFile,
                                conntrack,
                                new Remembered(state, dns.agent),
                                publisher,
                                reconciler,
                                mailbox)));
        LOG.info(
                "sluice runs on node {}, socket {}, policy revision {}",
                config.nodeName(),
                runFolder.socket(),
                publisher.live().revision());
    }

    /** A lane that cannot be pinned would end a daemon that has devices already. */
    private static void requireProcessors(final List<Integer> cpus) throws StartupException {
        for (final int cpu : cpus) {
            final FutureTask<Integer> trial = new FutureTask<>(() -> ProcessorShare.pin(cpu), cpu);
            Thread.ofPlatform().name("sluice-prepare").start(trial);
            try {
                trial.get();
            } catch (final ExecutionException e) {
                throw new StartupException(
                        "lane.cpus: %s"
                                .formatted(Objects.requireNonNull(e.getCause()).getMessage()),
                        e);
            } catch (final InterruptedException e) {
                Thread.currentThread().interrupt();
                throw new StartupException("interrupted while lane.cpus was tried", e);
            }
        }
    }

    /** As many as configured, not started. All have the conntrack table; the rest is each one's. */
    private List<LaneThread> lanes(
            final Conntrack conntrack,
            final LaneCounterFile counterFile,
            final FlowEvents events,
            final ObjIntConsumer<Port> portGone,
            final SecureRandom dice) {
        final List<LaneThread> lanes = new ArrayList<>();
        final int count = config.lane().count();
        for (int number = 0; number < count; number++) {
            final LaneCounters counters = new LaneCounters(counterFile.manager());
            final ForwardingLoop loop =
                    keep(
                            new ForwardingLoop(
                                    Gateway.DEFAULT,
                                    conntrack.ofLane(number, count),
                                    keep(FragmentTable.open(dice.nextLong())),
                                    counters,
                                    events,
                                    portGone));
            final int cpuIndex = number;
            final Lane lane =
                    keep(
                            new Lane(
                                    "sluice-lane-" + number,
                                    loop,
                                    System::nanoTime,
                                    switch (config.lane().idle()) {
                                        case BUSY -> Lane.IdleMode.BUSY;
                                        case ADAPTIVE -> Lane.IdleMode.ADAPTIVE;
                                        case SLEEPY -> Lane.IdleMode.SLEEPY;
                                    },
                                    () -> placeLane(cpuIndex),
                                    (thread, error) -> laneFailed(thread, error)));
            lanes.add(new LaneThread(lane, loop, counters));
        }
        return lanes;
    }

    /** Thread: the lane. */
    private void placeLane(final int number) {
        if (!config.lane().cpus().isEmpty()) {
            ProcessorShare.pin(config.lane().cpus().get(number));
        }
        ProcessorShare.ofLane(config.lane().nice());
    }

    /** What was changed before, mended after a crash and undone where nobody confirmed it. */
    private Rollouts rollouts(final ObjectStore store) throws StartupException {
        final SluiceConfig.History limits = config.policy().history();
        final Rollouts rollouts =
                new Rollouts(
                        store,
                        PolicyHistory.load(
                                config.stateFolder().resolve("history"),
                                limits.revisions(),
                                (long) limits.mebibytes() << 20),
                        Clock.systemUTC(),
                        System::nanoTime);
        rollouts.recover();
        return rollouts;
    }

    /** Devices are made beside what follows, too; no lane has their ports before policy is live. */
    private PreparedPorts prepared(
            final PortFactory own, final ObjectStore store, final AddressBook book) {
        final PreparedPorts ports = keep(new PreparedPorts(own));
        ports.prepare(
                Reconciler.firstEndpoints(config, store.objects(), book),
                config.uplink(),
                config.pool().all().stream().map(AddressPool::nodeAddress).toList());
        return ports;
    }

    /** What names consist of. */
    private record DnsParts(
            DnsAgent agent,
            LearnedNames names,
            ReleasedAddresses released,
            List<FqdnRecord> remembered) {}

    private DnsParts dns(
            final PuntRings punts,
            final Conntrack conntrack,
            final PolicyPublisher publisher,
            final ControlThread controlThread,
            final Reconciler reconciler,
            final StateStore state,
            final DnsEvents requests) {
        final AtomicReference<DnsAgent> agentOfBatches = new AtomicReference<>();
        final LearnedNames names =
                new LearnedNames(
                        publisher::live,
                        controlThread::post,
                        reconciler,
                        batch -> agentOfBatches.get().onLive(batch));
        final ReleasedAddresses released = new ReleasedAddresses(publisher::live, System::nanoTime);
        final DnsClock clock = new SystemClock();
        final Resolver resolver =
                keep(
                        new Resolver(
                                config.dns().resolver().addresses(),
                                config.dns().resolver().servers(),
                                config.dns().resolver().domain(),
                                new ClusterObjects(
                                        () -> publisher.live().world(), config.pool().all()),
                                clock));
        final DnsAgent agent =
                keep(
                        new DnsAgent(
                                punts,
                                config.dns().limits(),
                                config.dns().cache(),
                                new DnsAgent.Outside(
                                        new DnsPolicy(publisher::live),
                                        names,
                                        released,
                                        new FlowAddresses(
                                                conntrack,
                                                System::nanoTime,
                                                () -> publisher.live().world()),
                                        new NameStore(state.names()),
                                        requests,
                                        resolver),
                                clock));
        agentOfBatches.set(agent);
        return new DnsParts(agent, names, released, agent.restore());
    }

    private static final class SystemClock implements DnsClock {
        @Override
        public long monotonicMs() {
            return TimeUnit.NANOSECONDS.toMillis(System.nanoTime());
        }

        @Override
        public long epochMs() {
            return System.currentTimeMillis();
        }
    }

    private Optional<HandoverClient> askPredecessor() throws StartupException {
        try {
            final Optional<HandoverClient> predecessor =
                    HandoverClient.begin(
                            RunFolder.handoverSocket(config.runFolder()), config.lane().count());
            if (predecessor.isEmpty()) {
                LOG.info("no daemon runs on {}: nothing to take over", config.runFolder());
                ProcessorShare.comeForward();
            }
            predecessor.ifPresent(this::keep);
            return predecessor;
        } catch (final HandoverException e) {
            throw new StartupException(
                    "the running daemon does not hand over: %s".formatted(e.getMessage()), e);
        }
    }

    private static void completeHandover(final InheritedPorts inherited, final DnsAgent dns)
            throws StartupException {
        try {
            dns.learnMore(inherited.complete());
        } catch (final HandoverException e) {
            throw new StartupException("the hand-over broke off: %s".formatted(e.getMessage()), e);
        }
    }

    /** The state folder, and who writes its names. */
    private record Remembered(StateStore state, DnsAgent dns) {}

    /** This daemon, when its place is asked for. Thread: control. */
    private final class Handover implements HandoverServer.Predecessor {
        private final RunFolder runFolder;
        private final FlowFile flowFile;
        private final Conntrack conntrack;
        private final Remembered remembered;
        private final PolicyPublisher publisher;
        private final Reconciler reconciler;
        private final LaneControl lane;

        Handover(
                final RunFolder runFolder,
                final FlowFile flowFile,
                final Conntrack conntrack,
                final Remembered remembered,
                final PolicyPublisher publisher,
                final Reconciler reconciler,
                final LaneControl lane) {
            this.runFolder = runFolder;
            this.flowFile = flowFile;
            this.conntrack = conntrack;
            this.remembered = remembered;
            this.publisher = publisher;
            this.reconciler = reconciler;
            this.lane = lane;
        }

        @Override
        public int revision() {
            return publisher.live().revision();
        }

        @Override
        public int lanes() {
            return lane.count();
        }

        @Override
        public void release() throws IOException {
            remembered.state.suspend();
            runFolder.release();
            // Between the word to give the devices and their sending nobody forwards.
            ProcessorShare.ofLane(config.lane().nice());
        }

        @Override
        public void regain() throws IOException, StartupException {
            ProcessorShare.ordinary();
            runFolder.regain();
            try {
                remembered.state.resume();
            } catch (final StateException e) {
                throw new StartupException(String.valueOf(e.getMessage()), e);
            }
        }

        @Override
        public List<PassedDevice> giveDevices() {
            return reconciler.giveDevices(lane);
        }

        @Override
        public void resume() {
            reconciler.resume();
        }

        @Override
        public NameChanges nameChanges() {
            // On the agent's thread: after whatever it had taken from the lane.
            return remembered.dns.call(_ -> remembered.state.nameChanges());
        }

        @Override
        public void end(final AutoCloseable connection) {
            reconciler.handedOver();
            conntrack.handedOver();
            flowFile.handedOver();
            toCloseLast.set(Optional.of(connection));
            stop.request();
        }
    }

    /** Opens a part in a thread of its own; it is closed in its turn, if it was opened at all. */
    private <T extends AutoCloseable> FutureTask<T> openBeside(
            final String thread, final Callable<T> open) {
        final FutureTask<T> opening = new FutureTask<>(open);
        keep(
                () -> {
                    try {
                        opening.get().close();
                    } catch (final ExecutionException e) {
                        LOG.debug("{}: nothing was opened", thread, e);
                    }
                });
        Thread.ofPlatform().name(thread).start(opening);
        return opening;
    }

    private static <T> T opened(final FutureTask<T> opening, final String what)
            throws StartupException {
        try {
            return opening.get();
        } catch (final ExecutionException e) {
            if (e.getCause() instanceof final StateException refused) {
                throw new StartupException(String.valueOf(refused.getMessage()), refused);
            }
            throw new IllegalStateException(what + " cannot be opened", e.getCause());
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new StartupException("interrupted while " + what + " was opened", e);
        }
    }

    private static void createUplink(final Uplink uplink) {
        try {
            uplink.create();
        } catch (final AttachException e) {
            throw new RequestException(
                    RequestException.Reason.UNAVAILABLE, String.valueOf(e.getMessage()));
        }
    }

    private static Reconciler removeAll(final Reconciler reconciler) {
        reconciler.removeAll();
        return reconciler;
    }

    private <T extends AutoCloseable> T keep(final T part) {
        made.push(part);
        return part;
    }

    private static ManifestFolders readManifests(final List<Path> manifests)
            throws StartupException {
        final ManifestFolders folders = new ManifestFolders(manifests);
        folders.scan();
        final List<String> errors =
                folders.problems().stream()
                        .filter(Problem::isError)
                        .map(Problem::toString)
                        .toList();
        if (!errors.isEmpty()) {
            throw new StartupException(String.join("\n", errors));
        }
        return folders;
    }

    /** Thread: a lane. A full mailbox leaves it to the next tick. */
    private static void portGone(
            final Reconciler reconciler,
            final ControlThread control,
            final Port port,
            final int index) {
        reconciler.portGone(port.whole(), index);
        control.post(reconciler::letGo);
    }

    private static boolean foldersChanged(
            final ManifestFolders folders,
            final ControlThread control,
            final BiConsumer<List<KubeObject>, List<Problem>> take) {
        final List<KubeObject> objects = folders.objects();
        final List<Problem> problems = folders.problems();
        problems.stream().filter(Problem::isError).forEach(problem -> LOG.warn("{}", problem));
        return control.post(() -> take.accept(objects, problems));
    }

    /** Runs what may change the policy, and has the log say which flows that cut. */
    private static void told(
            final CutLog log, final PolicyPublisher publisher, final Runnable change) {
        final LivePolicy before = publisher.live();
        change.run();
        log.changed(before, publisher.live());
    }

    private void laneFailed(final Thread lane, final Throwable error) {
        LOG.error(
                "{} has failed; its packets do not pass any more, sluice stops",
                lane.getName(),
                error);
        failed.set(true);
        stop.request();
    }

    /** Thread: control, or the folder watcher. */
    private void controlFailed(final Error error) {
        failed.set(true);
        stop.request();
        LOG.error("control has failed; what it left behind is in doubt, sluice stops", error);
    }

    /** The running daemon's control plane. */
    ControlPlane control() {
        return control.get().orElseThrow();
    }

    /** Waits for a signal, the API's shutdown, or a failure. */
    private int awaitStop() {
        try {
            stop.requested.await();
        } catch (final InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        return failed.get() ? EXIT_FAILED : EXIT_STOPPED;
    }

    /**
     * The way to stop the daemon, there before the daemon is: a signal that comes during start-up
     * waits for it to finish and to be closed again, so that it leaves nothing behind either.
     */
    static final class Stop {
        private final CountDownLatch requested = new CountDownLatch(1);
        private final CountDownLatch closed = new CountDownLatch(1);

        /** Begins an orderly stop. Thread: any. */
        void request() {
            requested.countDown();
        }

        private void onSignal() {
            Runtime.getRuntime()
                    .addShutdownHook(
                            Thread.ofPlatform()
                                    .name("sluice-signal")
                                    .unstarted(this::requestAndWait));
        }

        private void requestAndWait() {
            request();
            try {
                while (!closed.await(STOP_REPORT_SECONDS, TimeUnit.SECONDS)) {
                    LOG.warn("sluice still stops: kill -9 ends it and leaves devices behind");
                }
            } catch (final InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }

    /** Closes everything in reverse; a part that fails to close does not keep others open. */
    @Override
    public void close() {
        if (made.isEmpty()) {
            return;
        }
        LOG.info("sluice stops");
        toCloseLast.get().ifPresent(made::addLast);
        while (!made.isEmpty()) {
            final AutoCloseable part = made.pop();
            try {
                part.close();
            } catch (final Exception e) {
                LOG.error("{} did not close", part, e);
            }
        }
        LOG.info("sluice has stopped");
    }
}
