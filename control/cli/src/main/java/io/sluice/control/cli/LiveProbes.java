package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.IpProtocol;
import io.sluice.control.policy.Probe;
import io.sluice.dnsproxy.wire.DnsReply;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Probes as real connections, opened in the namespace of the endpoint they come from.
 *
 * <p>What a connection shows is less than what policy decides: silence is a drop or an end that
 * does not answer. So only what speaks for itself is an answer, and the rest is {@link
 * Sight#UNKNOWN} with a reason:
 *
 * <ul>
 *   <li>TCP: connected, or refused by the other end, is allowed; no answer to a SYN is denied.
 *   <li>HTTP: status 403 is denied, any other allowed; an application's own 403 cannot be told from
 *       the proxy's.
 *   <li>ICMP: a reply is allowed, none is denied.
 *   <li>DNS: REFUSED, an answer that says it is blocked (RFC 8914), or no answer, is denied, any
 *       other answer allowed.
 *   <li>UDP: an answer, or the ICMP error that nobody listens, is allowed; silence says nothing.
 * </ul>
 *
 * <p>The tools are nsenter, timeout, bash, curl, ping and dig. Needs to be root. Thread: any.
 */
final class LiveProbes {
    /** A SYN is repeated after one second; what is not answered then was dropped. */
    private static final String PATIENCE_SECONDS = "2";

    private static final int TIMED_OUT = 124;

    /** curl: a connection was refused, or could not be tried. */
    private static final int CURL_NOT_CONNECTED = 7;

    private static final int CURL_TIMED_OUT = 28;

    private final ApiClient daemon;
    private final Map<String, JsonNode> endpoints = new HashMap<>();

    /** What a connection shows. */
    enum Sight {
        ALLOWED,
        DENIED,
        UNKNOWN
    }

    /**
     * What was seen.
     *
     * @param how in a few words
     */
    record Seen(Sight sight, String how) {
        private static Seen unknown(final String how) {
            return new Seen(Sight.UNKNOWN, how);
        }
    }

    /** A tool's end: exit status, and both its streams in one. */
    private record Ended(int status, String output) {
        String lastLine() {
            return output.lines().reduce((_, last) -> last).orElse("no output");
        }
    }

    /** Asks the daemon which endpoints there are. */
    LiveProbes(final ApiClient daemon) {
        this.daemon = daemon;
        for (final JsonNode endpoint : daemon.get("/v1/endpoints")) {
            endpoints.put(EndpointCommands.name(endpoint), endpoint);
            for (final JsonNode address : endpoint.path("addresses")) {
                endpoints.put(address.asText(), endpoint);
            }
        }
    }

    Seen open(final Probe probe) {
        final Optional<JsonNode> from = endpoint(probe.from());
        if (from.isEmpty()) {
            return Seen.unknown(probe.from() + " is no endpoint of this daemon");
        }
        final int protocol = IpProtocol.parse(probe.protocol());
        final Optional<IpAddress> to = address(probe, protocol);
        if (to.isEmpty()) {
            return Seen.unknown(probe.to() + " has no address here that fits");
        }
        final Optional<String> port = port(probe);
        if (port.isEmpty()) {
            return Seen.unknown(probe.to() + " has no port " + probe.port());
        }
        final Tool tool = new Tool(networkNamespace(from.get()), to.get().toString(), port.get());
        if (probe.l7().containsKey("kafka.api") || probe.l7().containsKey("sni")) {
            return Seen.unknown("requests of this kind are not made");
        }
        if (probe.l7().containsKey("dns")) {
            return tool.dns(probe.l7().get("dns"), protocol);
        }
        if (probe.l7().containsKey("http.method")) {
            return tool.http(probe.l7());
        }
        return switch (protocol) {
            case IpProtocol.TCP -> tool.tcp();
            case IpProtocol.UDP -> tool.udp();
            case IpProtocol.ICMP, IpProtocol.ICMPV6 -> tool.ping();
            default -> Seen.unknown(probe.protocol() + " is not tried");
        };
    }

    private Optional<JsonNode> endpoint(final String end) {
        final String address = IpAddress.parse(end).map(IpAddress::toString).orElse(end);
        return Optional.ofNullable(endpoints.get(address));
    }

    /** Address to connect to: of the family of the other end, where that is an address. */
    private Optional<IpAddress> address(final Probe probe, final int protocol) {
        final List<IpAddress> candidates = new ArrayList<>();
        IpAddress.parse(probe.to()).ifPresent(candidates::add);
        if (candidates.isEmpty()) {
            endpoint(probe.to())
                    .ifPresent(
                            endpoint ->
                                    endpoint.path("addresses")
                                            .forEach(
                                                    text ->
                                                            IpAddress.parse(text.asText())
                                                                    .ifPresent(candidates::add)));
        }
        final Optional<IpAddress> from = IpAddress.parse(probe.from());
        return candidates.stream()
                .filter(to -> from.isEmpty() || from.get().isIpv4() == to.isIpv4())
                .filter(to -> protocol != IpProtocol.ICMP || to.isIpv4())
                .filter(to -> protocol != IpProtocol.ICMPV6 || !to.isIpv4())
                .findFirst();
    }

    /** Number of the port; empty if the destination has none of that name. */
    private Optional<String> port(final Probe probe) {
        if (probe.port().chars().allMatch(Character::isDigit)) {
            return Optional.of(probe.port());
        }
        final Optional<JsonNode> endpoint = endpoint(probe.to());
        if (endpoint.isEmpty()) {
            return Optional.empty();
        }
        final JsonNode pod =
                daemon.get(
                        "/v1/objects?kind=Pod&namespace="
                                + ApiClient.encode(endpoint.get().path("namespace").asText())
                                + "&name="
                                + ApiClient.encode(endpoint.get().path("name").asText()));
        for (final JsonNode container : pod.findPath("containers")) {
            for (final JsonNode named : container.path("ports")) {
                if (named.path("name").asText().equals(probe.port())
                        && named.path("protocol").asText("TCP").equals(probe.protocol())) {
                    return Optional.of(named.path("containerPort").asText());
                }
            }
        }
        return Optional.empty();
    }

    private static Path networkNamespace(final JsonNode endpoint) {
        final String name = endpoint.path("networkNamespace").asText();
        if (name.startsWith("pid:")) {
            return Path.of("/proc", name.substring("pid:".length()), "ns/net");
        }
        return Path.of("/run/netns").resolve(name);
    }

    /** Tools run in one namespace against one address and port. */
    private record Tool(Path networkNamespace, String address, String port) {
        Seen tcp() {
            final Ended ended =
                    run(
                            "timeout",
                            PATIENCE_SECONDS,
                            "bash",
                            "-c",
                            "exec 3<>/dev/tcp/$0/$1",
                            address,
                            port);
            if (ended.status == 0) {
                return new Seen(Sight.ALLOWED, "connected");
            }
            if (ended.status == TIMED_OUT) {
                return new Seen(Sight.DENIED, "timed out");
            }
            return refusedOrUnknown(ended);
        }

        Seen udp() {
            final Ended ended =
                    run(
                            "timeout",
                            PATIENCE_SECONDS,
                            "bash",
                            "-c",
                            "exec 3<>/dev/udp/$0/$1; echo >&3; head -c 1 <&3 | wc -c",
                            address,
                            port);
            if (ended.output.strip().equals("1")) {
                return new Seen(Sight.ALLOWED, "answered");
            }
            return ended.status == TIMED_OUT
                    ? Seen.unknown("silent: dropped, or not answered")
                    : refusedOrUnknown(ended);
        }

        private static Seen refusedOrUnknown(final Ended ended) {
            return ended.output.contains("Connection refused")
                    ? new Seen(Sight.ALLOWED, "refused: nobody listens")
                    : Seen.unknown(ended.lastLine());
        }

        Seen ping() {
            final Ended ended = run("ping", "-n", "-c", "1", "-W", PATIENCE_SECONDS, address);
            if (ended.status == 0) {
                return new Seen(Sight.ALLOWED, "answered");
            }
            return ended.output.contains(" 0 received")
                    ? new Seen(Sight.DENIED, "no reply")
                    : Seen.unknown(ended.lastLine());
        }

        Seen dns(final String name, final int protocol) {
            final Ended ended =
                    run(
                            "dig",
                            "@" + address,
                            "-p",
                            port,
                            protocol == IpProtocol.TCP ? "+tcp" : "+notcp",
                            "+tries=1",
                            "+time=" + PATIENCE_SECONDS,
                            "-q",
                            name);
            if (ended.output.contains("status: REFUSED")) {
                return new Seen(Sight.DENIED, "REFUSED");
            }
            if (ended.output.contains("EDE: " + DnsReply.ERROR_BLOCKED)) {
                return new Seen(Sight.DENIED, "blocked");
            }
            if (ended.output.contains("status: ")) {
                return new Seen(Sight.ALLOWED, "answered");
            }
            return ended.output.contains("timed out")
                    ? new Seen(Sight.DENIED, "timed out")
                    : Seen.unknown(ended.lastLine());
        }

        Seen http(final Map<String, String> request) {
            final String host = address.contains(":") ? "[" + address + "]" : address;
            final List<String> line =
                    new ArrayList<>(
                            List.of(
                                    "curl",
                                    "-q",
                                    "-sS",
                                    "-g",
                                    "--path-as-is",
                                    "--noproxy",
                                    "*",
                                    "--max-time",
                                    PATIENCE_SECONDS,
                                    "-o",
                                    "/dev/null",
                                    "-w",
                                    "%{time_connect} %{http_code}\n",
                                    "-X",
                                    String.valueOf(request.get("http.method"))));
            request.forEach(
                    (field, value) -> {
                        if (field.equals("http.host")) {
                            line.addAll(List.of("-H", "Host: " + value));
                        } else if (field.startsWith("http.headers.")) {
                            final String name = field.substring("http.headers.".length());
                            line.addAll(List.of("-H", name + ": " + value));
                        }
                    });
            line.add("http://" + host + ":" + port + request.get("http.path"));
            final Ended ended = run(line.toArray(String[]::new));
            final String last = ended.lastLine();
            if (ended.status == 0) {
                final String status = last.substring(last.indexOf(' ') + 1);
                return new Seen(
                        status.equals("403") ? Sight.DENIED : Sight.ALLOWED, "HTTP " + status);
            }
            if (ended.status == CURL_TIMED_OUT && ended.output.contains("0.000000 000")) {
                return new Seen(Sight.DENIED, "timed out");
            }
            return Seen.unknown(
                    ended.status == CURL_NOT_CONNECTED
                            ? "no server answers"
                            : ended.output.lines().findFirst().orElse("no output"));
        }

        private Ended run(final String... tool) {
            final List<String> line =
                    Stream.concat(
                                    Stream.of("nsenter", "--net=" + networkNamespace),
                                    Arrays.stream(tool))
                            .toList();
            try {
                final Process process = new ProcessBuilder(line).redirectErrorStream(true).start();
                process.getOutputStream().close();
                final String output =
                        new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
                return new Ended(process.waitFor(), output);
            } catch (final IOException e) {
                throw CommandError.usage("--live: " + e.getMessage());
            } catch (final InterruptedException e) {
                Thread.currentThread().interrupt();
                throw CommandError.usage("--live: interrupted");
            }
        }
    }
}
