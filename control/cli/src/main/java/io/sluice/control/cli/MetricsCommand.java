package io.sluice.control.cli;

import io.sluice.control.cli.Output.Format;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(name = "metrics", description = "Every counter of the daemon, in Prometheus' text format.")
final class MetricsCommand implements Callable<Integer> {
    private final Console console;

    @Mixin private DaemonOption daemon = new DaemonOption();
    @Mixin private Output output = new Output();

    MetricsCommand(final Console console) {
        this.console = console;
    }

    @Override
    public Integer call() {
        final Format format = output.oneOf(Format.TEXT, Format.JSON, Format.JSONL, Format.YAML);
        final ApiClient client = daemon.client(console);
        if (format == Format.TEXT) {
            console.out().print(client.text("GET", "/v1/metrics", "text/plain", ""));
        } else {
            Output.print(console.out(), format, client.get("/v1/counters"));
        }
        return ExitCode.YES;
    }
}
