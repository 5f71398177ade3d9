package io.sluice.control.cli;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.cli.Output.Format;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(name = "version", description = "Versions of Sluice, of Java and of the kernel.")
final class VersionCommand implements Callable<Integer> {
    private final Console console;

    @Mixin private Output output = new Output();

    VersionCommand(final Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        final Format format = output.oneOf(Format.TEXT, Format.JSON, Format.YAML);
        final @Nullable String built = SluiceCli.class.getPackage().getImplementationVersion();
        final ObjectNode version = JsonNodeFactory.instance.objectNode();
        // Classes that are not in a jar have no manifest to say it.
        version.put("sluice", built == null ? "unpackaged" : built);
        version.put("java", System.getProperty("java.version"));
        version.put("vm", System.getProperty("java.vm.vendor"));
        version.put("os", System.getProperty("os.name") + " " + System.getProperty("os.version"));
        version.put("architecture", System.getProperty("os.arch"));
        if (format == Format.TEXT) {
            console.out()
                    .printf(
                            "sluice %s (Java %s, %s; %s, %s)%n",
                            version.path("sluice").asText(),
                            version.path("java").asText(),
                            version.path("vm").asText(),
                            version.path("os").asText(),
                            version.path("architecture").asText());
        } else {
            Output.print(console.out(), format, version);
        }
        return ExitCode.YES;
    }
}
