package io.sluice.control.cli;

import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.core.util.Separators;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.sluice.control.agent.api.JsonTree;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.snakeyaml.engine.v2.api.Dump;
import org.snakeyaml.engine.v2.api.DumpSettings;
import org.snakeyaml.engine.v2.common.FlowStyle;
import picocli.CommandLine.Option;

/** The option {@code -o} and what it makes of an answer that is JSON already. */
final class Output {
    /** Forms of output; each command says which of them it has. */
    enum Format {
        TEXT,
        WIDE,
        JSON,
        JSONL,
        YAML,
        NAME,
        CSV,
        DOT,
        MD
    }

    @Option(
            names = {"-o", "--output"},
            paramLabel = "FORMAT",
            description = "Output format; text unless told otherwise, `-o help` lists the others.")
    private String format = "text";

    Output() {}

    /** The wanted format, which must be one of those the command has. */
    Format oneOf(final Format... accepted) {
        final List<String> names = new ArrayList<>();
        for (final Format candidate : accepted) {
            final String name = candidate.name().toLowerCase(Locale.ROOT);
            if (name.equals(format)) {
                return candidate;
            }
            names.add(name);
        }
        throw CommandError.usage(
                "-o " + format + ": unknown format: accepted are " + String.join(", ", names));
    }

    /** Prints JSON in one of the three forms that any answer has. */
    static void print(final PrintWriter out, final Format format, final JsonNode answer) {
        switch (format) {
            case JSON -> out.println(pretty(answer));
            case JSONL -> {
                if (answer.isArray()) {
                    answer.forEach(line -> out.println(JsonTree.write(line)));
                } else {
                    out.println(JsonTree.write(answer));
                }
            }
            case YAML -> out.print(yaml(answer));
            case TEXT, WIDE, NAME, CSV, DOT, MD ->
                    throw new IllegalArgumentException(format + " is the command's to print");
        }
    }

    static String yaml(final JsonNode answer) {
        return new Dump(
                        DumpSettings.builder()
                                .setDefaultFlowStyle(FlowStyle.BLOCK)
                                .setIndent(2)
                                .setIndicatorIndent(0)
                                .build())
                .dumpToString(new ObjectMapper().convertValue(answer, Object.class));
    }

    private static String pretty(final JsonNode answer) {
        return JsonTree.write(
                answer,
                new DefaultPrettyPrinter(
                                Separators.createDefaultInstance()
                                        .withObjectFieldValueSpacing(Separators.Spacing.AFTER)
                                        .withArrayEmptySeparator("")
                                        .withObjectEmptySeparator(""))
                        .withArrayIndenter(DefaultIndenter.SYSTEM_LINEFEED_INSTANCE));
    }
}
