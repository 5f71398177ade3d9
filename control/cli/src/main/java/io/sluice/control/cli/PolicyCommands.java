package io.sluice.control.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.cli.Output.Format;
import io.sluice.control.policy.KubeObject;
import io.sluice.control.policy.Problem;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code sluice policy}: the engine, offline or the daemon's. */
final class PolicyCommands {
    private PolicyCommands() {}

    static CommandLine of(final Console console) {
        return Group.named("policy", "The policy engine, over manifests or in the daemon.")
                .addSubcommand(new Validate(console))
                .addSubcommand(new PolicyLintCommand(console))
                .addSubcommand(new PolicyEvalCommand(console))
                .addSubcommand(new PolicyMatrixCommand(console))
                .addSubcommand(new PolicyDiffCommand(console))
                .addSubcommand(new PolicyReplayCommand(console))
                .addSubcommand(new PolicyRecommendCommand(console))
                .addSubcommand(new PolicySelectorCommand(console))
                .addSubcommand(new PolicyRequestsCommand(console))
                .addSubcommand(new PolicyHistoryCommands.History(console))
                .addSubcommand(new PolicyHistoryCommands.Rollback(console))
                .addSubcommand(new PolicyHistoryCommands.Confirm(console));
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
