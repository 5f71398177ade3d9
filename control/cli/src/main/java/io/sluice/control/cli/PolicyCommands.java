package io.sluice.control.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.cli.Output.Format;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.Problem;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code sluice policy}: the engine, offline or the daemon's. */
final class PolicyCommands {
    private PolicyCommands() {}

    /**
     * @param asked the command that is asked for; see {@link Group#addAsked}
     */
    static CommandLine of(final Console console, final String asked) {
        final Map<String, Supplier<Object>> all = new LinkedHashMap<>();
        all.put("validate", () -> new Validate(console));
        all.put("lint", () -> new PolicyLintCommand(console));
        all.put("eval", () -> new PolicyEvalCommand(console));
        all.put("matrix", () -> new PolicyMatrixCommand(console));
        all.put("diff", () -> new PolicyDiffCommand(console));
        all.put("replay", () -> new PolicyReplayCommand(console));
        all.put("recommend", () -> new PolicyRecommendCommand(console));
        all.put("selector", () -> new PolicySelectorCommand(console));
        all.put("requests", () -> new PolicyRequestsCommand(console));
        all.put("history", () -> new PolicyHistoryCommands.History(console));
        all.put("rollback", () -> new PolicyHistoryCommands.Rollback(console));
        all.put("confirm", () -> new PolicyHistoryCommands.Confirm(console));
        return Group.addAsked(
                Group.named("policy", "The policy engine, over manifests or in the daemon."),
                all,
                asked);
    }

    @Command(
            name = "validate",
            description = {
                "Reads manifests as strictly as the daemon does and says everything that is wrong",
                "with them. Warnings alone are valid."
            })
    static final class Validate implements Callable<Integer> {
        private final Console console;

        @Mixin private Manifests manifests = new Manifests();
        @Mixin private Output output = new Output();

        Validate(final Console console) {
            this.console = console;
        }

        @Override
        public Integer call() {
            final Format format = output.oneOf(Format.TEXT, Format.JSON, Format.JSONL, Format.YAML);
            final OfflinePolicy policy = OfflinePolicy.of(manifests.read(console));
            final boolean valid = policy.errors().isEmpty();
            if (format == Format.TEXT) {
                policy.problems().forEach(problem -> console.note(problem.toString()));
                if (valid) {
                    final int objects = policy.world().objects().size();
                    final int policies = policy.world().all(KubeObject.Policy.class).size();
                    console.out()
                            .println(
                                    "valid: "
                                            + objects
                                            + (objects == 1 ? " object, " : " objects, ")
                                            + policies
                                            + (policies == 1 ? " policy" : " policies"));
                }
            } else {
                Output.print(console.out(), format, problems(policy));
            }
            return valid ? ExitCode.YES : ExitCode.NO;
        }

        private static ArrayNode problems(final OfflinePolicy policy) {
            final ArrayNode problems = JsonNodeFactory.instance.arrayNode();
            for (final Problem problem : policy.problems()) {
                final ObjectNode json = problems.addObject();
                json.put("file", problem.where().file());
                json.put("line", problem.where().line());
                json.put("column", problem.where().column());
                json.put("field", problem.field());
                json.put("severity", problem.severity().name().toLowerCase(Locale.ROOT));
                json.put("message", problem.message());
            }
            return problems;
        }
    }
}
