package io.sluice.control.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Option;

/** What is in the packet of a probe: a request, or a name; and where the packet comes from. */
final class RequestOptions {
    @Option(
            names = "--http",
            paramLabel = "'METHOD /PATH'",
            description = "A request, as 'GET /orders?id=1'.")
    private String http = "";

    @Option(
            names = {"-H", "--header"},
            paramLabel = "'NAME: VALUE'",
            description = "A header of the request; Host is its host.")
    private List<String> headers = new ArrayList<>();

    @Option(
            names = "--kafka",
            paramLabel = "API[:TOPIC]",
            description = "A Kafka request, as produce:orders.")
    private String kafka = "";

    @Option(names = "--dns", paramLabel = "NAME", description = "A DNS query for this name.")
    private String dns = "";

    @Option(
            names = "--sni",
            paramLabel = "NAME",
            description = "A TLS handshake with this server name.")
    private String sni = "";

    @Option(
            names = "--to-name",
            paramLabel = "NAME",
            description = "The address --to was learned from this name.")
    private String toName = "";

    @Option(
            names = "--source-port",
            paramLabel = "PORT",
            description = "Source port; default: one that systems give to clients.")
    private int sourcePort;

    boolean isGiven() {
        return !http.isEmpty()
                || !headers.isEmpty()
                || !kafka.isEmpty()
                || !dns.isEmpty()
                || !sni.isEmpty()
                || !toName.isEmpty()
                || sourcePort != 0;
    }

    /** Puts them into a probe line. */
    void addTo(final ObjectNode line) {
        if (sourcePort != 0) {
            line.put("sourcePort", sourcePort);
        }
        if (!http.isEmpty()) {
            addHttp(line.putObject("http"));
        } else if (!headers.isEmpty()) {
            throw CommandError.usage("-H: belongs to a request: --http is missing");
        }
        if (!kafka.isEmpty()) {
            final int colon = kafka.indexOf(':');
            final ObjectNode request = line.putObject("kafka");
            request.put("api", colon < 0 ? kafka : kafka.substring(0, colon));
            if (colon >= 0) {
                request.put("topic", kafka.substring(colon + 1));
            }
        }
        put(line, "dns", dns);
        put(line, "sni", sni);
        put(line, "toName", toName);
    }

    private void addHttp(final ObjectNode request) {
        final int blank = http.indexOf(' ');
        if (blank <= 0 || !http.startsWith("/", blank + 1)) {
            throw CommandError.usage(
                    "--http '" + http + "': METHOD /PATH, as in 'GET /orders?id=1'");
        }
        request.put("method", http.substring(0, blank));
        request.put("path", http.substring(blank + 1));
        final ObjectNode values = request.objectNode();
        for (final String header : headers) {
            final int colon = header.indexOf(':');
            if (colon <= 0) {
                throw CommandError.usage("-H '" + header + "': NAME: VALUE");
            }
            final String name = header.substring(0, colon).strip();
            final String value = header.substring(colon + 1).strip();
            if (name.equalsIgnoreCase("host")) {
                request.put("host", value);
            } else {
                values.put(name, value);
            }
        }
        if (!values.isEmpty()) {
            request.set("headers", values);
        }
    }

    private static void put(final ObjectNode line, final String field, final String value) {
        if (!value.isEmpty()) {
            line.put(field, value);
        }
    }
}
