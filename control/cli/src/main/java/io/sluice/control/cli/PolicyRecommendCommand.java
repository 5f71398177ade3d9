package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import io.sluice.control.cli.Output.Format;
import io.sluice.control.policy.IdentityAllocator;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.ManifestReader;
import io.sluice.control.policy.ObjectRef;
import io.sluice.control.policy.PolicyCompiler;
import io.sluice.control.policy.PolicyEvaluator;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.PolicySet;
import io.sluice.control.policy.Problem;
import io.sluice.control.policy.ReadResult;
import io.sluice.control.policy.World;
import io.sluice.control.policy.recommend.PolicyRecommender;
import io.sluice.control.policy.recommend.RecommendOptions;
import io.sluice.control.policy.recommend.RecommendOptions.Kind;
import io.sluice.control.policy.recommend.Recommendation;
import io.sluice.control.policy.replay.FlowReplay;
import io.sluice.control.policy.replay.FlowReplay.Answer;
import io.sluice.control.policy.replay.FlowReplay.Change;
import io.sluice.control.policy.replay.ReplayReport;
import io.sluice.control.policy.replay.ReplayWorld;
import io.sluice.control.policy.replay.SeenTraffic;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
        name = "recommend",
        description = {
            "Drafts least-privilege policies from recorded traffic that passed: one for each",
            "workload, both ways, with comments. Every flow that they are for is asked of them",
            "afterwards, and stderr says so; what they cannot express is a comment and a warning.",
            "",
            "Exit status 0 if none of these flows would be denied, 1 if one would, or if there was",
            "nothing to draft from."
        })
final class PolicyRecommendCommand implements Callable<Integer> {
    /** Flows that would be denied are a mistake of this command: some of them are enough. */
    private static final int DENIED_TOLD_MAX = 20;

    private final Console console;

    @Mixin private FlowOptions flows = new FlowOptions();
    @Mixin private Manifests manifests = new Manifests();
    @Mixin private Output output = new Output();

    @Option(
            names = {"-n", "--namespace"},
            paramLabel = "NS",
            description = "Only for pods of this namespace; several times. All but kube-system.")
    private List<String> namespaces = List.of();

    @Option(
            names = "--kind",
            paramLabel = "KIND",
            description = "NetworkPolicy (default) or CiliumNetworkPolicy; np, cnp.")
    private String kind = "NetworkPolicy";

    @Option(
            names = "--l7",
            description = "Rules for requests too, where requests were read. CiliumNetworkPolicy.")
    private boolean requests;

    @Option(
            names = "--audit",
            description = "Annotate the policies to be audited: reported, not enforced.")
    private boolean audited;

    @Option(
            names = "--addresses",
            paramLabel = "N",
            description = {
                "With more addresses outside for one port than this, everything outside is allowed;",
                "default 10."
            })
    private int addressesMax = 10;

    PolicyRecommendCommand(final Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        final Format format = output.oneOf(Format.TEXT, Format.JSON, Format.JSONL, Format.YAML);
        final RecommendOptions options = options();
        final World given = given();
        final List<SeenTraffic> traffic = flows.read("sluice policy recommend", console).traffic();
        final ReplayWorld world = ReplayWorld.of(given, PolicyOptions.DEFAULTS, traffic);
        final Recommendation drafted = PolicyRecommender.of(world, options, traffic);
        if (drafted.policies() == 0) {
            throw CommandError.no(
                    "sluice policy recommend: no flow of the wanted pods that passed was seen:"
                            + " nothing to draft from");
        }
        final ReadResult read = ManifestReader.read("recommended.yaml", drafted.text());
        if (read.problems().stream().anyMatch(Problem::isError)) {
            throw CommandError.no(
                    "sluice policy recommend: labels or names of the record do not make a policy:\n"
                            + String.join(
                                    "\n",
                                    read.problems().stream().map(Problem::toString).toList()));
        }
        if (format == Format.TEXT) {
            console.out().print(drafted.text());
        } else {
            final ObjectMapper json = new ObjectMapper();
            final ArrayNode objects = json.createArrayNode();
            read.objects()
                    .forEach(object -> objects.add(json.<JsonNode>valueToTree(object.shown())));
            Output.print(console.out(), format, objects);
        }
        drafted.warnings().forEach(warning -> console.note("warning: " + warning));
        return check(world.with(read.objects()), drafted);
    }

    private RecommendOptions options() {
        final Kind wanted =
                switch (kind.toLowerCase(Locale.ROOT)) {
                    case "networkpolicy", "np", "netpol" -> Kind.NETWORK_POLICY;
                    case "ciliumnetworkpolicy", "cnp" -> Kind.CILIUM_NETWORK_POLICY;
                    default ->
                            throw CommandError.usage(
                                    "--kind "
                                            + kind
                                            + ": accepted are NetworkPolicy, CiliumNetworkPolicy");
                };
        if (requests && wanted == Kind.NETWORK_POLICY) {
            throw CommandError.usage(
                    "--l7: a NetworkPolicy has no rules for requests: --kind CiliumNetworkPolicy");
        }
        if (addressesMax < 1) {
            throw CommandError.usage("--addresses " + addressesMax + ": 1 or more");
        }
        if (flows.isStandardInput() && manifests.paths().contains("-")) {
            throw CommandError.usage("-: both -f and --flows cannot be standard input");
        }
        return new RecommendOptions(
                wanted, Set.copyOf(namespaces), requests, audited, addressesMax);
    }

    /**
     * Pods and namespaces that there are, without policies: those that are drafted replace them.
     */
    private World given() {
        if (!manifests.isGiven()) {
            return World.EMPTY;
        }
        final OfflinePolicy policy = OfflinePolicy.of(manifests.read(console));
        if (!policy.errors().isEmpty()) {
            throw CommandError.usage(policy.errorText());
        }
        final List<ObjectRef> policies =
                policy.world().all(KubeObject.Policy.class).stream().map(KubeObject::ref).toList();
        if (!policies.isEmpty()) {
            console.note("policies in the manifests, not taken into account: " + policies.size());
        }
        return policy.world().without(policies);
    }

    private int check(final ReplayWorld world, final Recommendation drafted) {
        final PolicySet policies =
                PolicyCompiler.compile(world.world(), new IdentityAllocator(), world.options());
        final FlowReplay replay =
                new FlowReplay(world, new PolicyEvaluator(world.world(), policies));
        final List<Answer> answers = drafted.used().parallelStream().map(replay::judge).toList();
        final ReplayReport report = ReplayReport.of(answers, Map.of(), 0);
        final long denied = report.flows(Change.NOW_DENIED) + report.flows(Change.UNKNOWN);
        console.note(
                "drafted "
                        + drafted.policies()
                        + (drafted.policies() == 1 ? " policy" : " policies")
                        + " for "
                        + report.flows()
                        + " flows; checked by replay: "
                        + (denied == 0 ? "none of them" : denied)
                        + " would be denied");
        final List<String> told = new ArrayList<>();
        report.rows().stream()
                .filter(row -> row.change() == Change.NOW_DENIED)
                .limit(DENIED_TOLD_MAX)
                .forEach(
                        row ->
                                told.add(
                                        ("denied: "
                                                                + row.from()
                                                                + " -> "
                                                                + row.to()
                                                                + " "
                                                                + row.port()
                                                                + " "
                                                                + row.request())
                                                        .strip()
                                                + " by "
                                                + row.by()));
        report.unknown().keySet().forEach(reason -> told.add("not judged: " + reason));
        told.forEach(console::note);
        return denied == 0 ? ExitCode.YES : ExitCode.NO;
    }
}
