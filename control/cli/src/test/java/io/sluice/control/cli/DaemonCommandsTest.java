package io.sluice.control.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.sluice.control.agent.ConfirmationReport;
import io.sluice.control.agent.CutsReport;
import io.sluice.control.agent.PolicySnapshot;
import io.sluice.control.agent.api.ApiServer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Every command that talks to a daemon, over a real socket, with golden output. */
final class DaemonCommandsTest {
    private static final Path SHOP = Path.of("src/test/resources/shop");

    @TempDir private Path folder = Path.of("");

    private final Path socket;
    private final MemoryControlPlane control = new MemoryControlPlane(shop());
    private final ApiServer server;

    DaemonCommandsTest() throws IOException {
        final Path first = Files.createTempDirectory("sluice");
        this.socket = first.resolve("api.sock");
        this.server = ApiServer.start(socket, Optional.empty(), control);
    }

    @AfterEach
    void stop() throws IOException {
        server.close();
        Files.delete(socket.getParent());
    }

    private static PolicySnapshot shop() {
        final OfflinePolicy policy =
                OfflinePolicy.of(List.of(text("pods.yaml"), text("policies.yaml")));
        return new PolicySnapshot(7, policy.world(), policy.evaluator());
    }

    private static Manifests.Text text(final String name) {
        return new Manifests.Text(name, Manifests.content(SHOP.resolve(name)));
    }

    private CommandLineRun run(final String... arguments) {
        return CommandLineRun.with(Map.of("SLUICE_SOCKET", socket.toString()), "", arguments);
    }

    private void isGolden(final String name, final String... arguments) {
        final CommandLineRun run = run(arguments);
        assertThat(run.err()).isEmpty();
        assertThat(run.code()).isZero();
        Golden.assertMatches(name, run.out());
    }

    @ParameterizedTest
    @CsvSource({
        "status.txt, status",
        "status.json, status -o json",
        "endpoint-list.txt, endpoint list",
        "endpoint-list-wide.txt, endpoint list -o wide -l app=frontend",
        "endpoint-list.json, endpoint list -o json",
        "endpoint-get.txt, endpoint get frontend -n shop",
        "endpoint-get.yaml, endpoint get 1 -o yaml",
        "identity-list.txt, identity list",
        "identity-list.jsonl, identity list -o jsonl",
        "identity-get.txt, identity get 256",
        "identity-get.json, identity get 256 -o json",
        "ipcache-list.txt, ipcache list",
        "ct-list.txt, ct list",
        "fqdn-list.txt, fqdn list",
        "fqdn-names.txt, fqdn names",
        "fqdn-clean.txt, fqdn clean -p *.example.com",
        "drops.txt, drops",
        "drops.json, drops -o json",
        "metrics.txt, metrics",
        "get.txt, get -n shop",
        "get-wide.txt, get netpol -A -o wide",
        "get-labels.txt, get netpol -A -l team=api -o name",
        "get-list.yaml, get netpol -n shop -o yaml",
        "get-one.json, get netpol backend -n shop -o json",
        "describe.txt, describe netpol/backend -n shop",
        "describe.json, describe netpol/backend -n shop -o json",
        "observe.compact, observe",
        "observe-names.compact, observe --print-policy-names --print-node-name -t policy-verdict",
        "observe.json, observe -o json",
        "observe.dict, observe -o dict --verdict DROPPED --protocol icmpv6 --verdict FORWARDED",
        "observe.table, observe -o table",
        "observe-ends.compact, observe --ends",
        "observe-ends.compact, observe --ends --not --type end:closed",
        "observe-end.json, observe -t end:cut -o json",
        "observe-end.table, observe -t end -o table",
        "observe-explain.compact, observe --explain",
        "observe-explain.json, observe --explain -o json --verdict DROPPED",
        "observe-explain.dict, observe --explain -o dict --verdict DROPPED",
        "trace.txt, trace --match tcp --count 1",
        "trace.jsonl, trace -o jsonl",
        "requests.txt, policy requests",
        "requests.json, policy requests -o json",
        "history.txt, policy history",
        "history.json, policy history -o json",
        "history-one.txt, policy history 7",
        "observe.table, observe --output tab",
        "observe.json, observe --output jsonpb",
        "matrix.txt, policy matrix --live --port 8080/TCP",
    })
    void printsItsGoldenForm(final String golden, final String command) {
        isGolden(golden, command.split(" ", -1));
    }

    @ParameterizedTest
    @CsvSource({
        "--verdict dropped, 2",
        "--type drop, 2",
        "--type policy-verdict, 3",
        "--from-pod shop/front, 3",
        "--from-pod front, 0",
        "--pod shop/back, 3",
        "--to-port 8080, 1",
        "--port 8080, 3",
        "--protocol tcp, 3",
        "--protocol icmp, 1",
        "-n shop, 5",
        "-n shop --to-ip 2001:db8::1, 1",
        "--label app=backend --verdict FORWARDED, 2",
        "--to-identity 2, 2",
        "--drop-reason-desc policy_denied, 1",
        "--since 98s, 2",
        "--since 2026-03-01T11:58:23Z, 1",
        "--until 2026-03-01T11:58:21Z, 3",
        "--last 3, 3",
        "--first 2, 2",
        "--all, 5",
        "--since 30d, 5",
        "--type trace, 3",
        "--type trace:to-endpoint, 2",
        "--type trace:to-stack, 1",
        "--type trace:to-proxy, 0",
        "--type end, 1",
        "--type end:cut, 1",
        "--type end:reset, 0",
        "--type end --type drop, 3",
        "--ends, 6",
        "--ends --verdict DROPPED, 2",
        "--ends --not --type end, 5",
        "--ip 10.244.0.0/24, 5",
        "--from-ip 10.244.0.11, 2",
        "--to-ip 2001:DB8:0::1, 1",
        "--identity world, 2",
        "--label app=backend, 3",
        "'--from-label app=frontend,nothing', 0",
        "--tcp-flags SYN, 3",
        "'--tcp-flags SYN,ACK', 1",
        "--ipv6, 1",
        "-4, 4",
        "-4 -6, 5",
        "--traffic-direction egress, 1",
        "--node-name node*, 5",
        "--node-name other, 0",
        "--uuid 00000000-0000-4000-8000-000000000002, 1",
        "--not --verdict DROPPED, 3",
        "--not --from-pod shop/front --not --protocol=udp, 2",
        "--from-pod shop/front --not -t drop, 2",
        "--fqdn example.com, 0",
        "--http-status 4+, 0",
        "--http-method GET, 0",
        "--http-path ^/x, 0",
        "--http-url x, 0",
        "--http-header a:b, 0",
    })
    void observeFilters(final String filter, final int flows) {
        final CommandLineRun run = run(("observe -o json " + filter).split(" ", -1));

        assertThat(run.err()).isEmpty();
        assertThat(run.out().lines()).hasSize(flows);
    }

    @ParameterizedTest
    @CsvSource({
        "observe, false",
        "observe -o dict --verdict DROPPED, false",
        "observe -o table, false",
        "observe --all-drops, true",
        "observe -o table --all-drops, true",
        "observe --drop-reason-desc MULTICAST_NOT_FORWARDED, true",
        "observe -o json, true",
        "observe -j, true",
    })
    void ordinaryChatterIsShownWhereItIsWanted(final String command, final boolean shown) {
        final CommandLineRun run = run(command.split(" ", -1));

        assertThat(run.err()).isEmpty();
        assertThat(run.out().contains("224.0.0.251")).isEqualTo(shown);
        // What hides it takes no place among the last ones either.
        assertThat(run("observe", "--last", "1").out()).contains("EchoRequest");
    }

    @Test
    void aFollowerGetsEveryFlowAndIsToldHowManyItMissed() throws InterruptedException {
        final CommandLineRun run = run("observe", "-f", "--last", "1");

        assertThat(run.code()).isZero();
        assertThat(run.out().lines())
                .satisfiesExactly(
                        line -> assertThat(line).contains("EchoRequest"),
                        line -> assertThat(line).contains("EVENTS LOST").endsWith(" 3"),
                        line -> assertThat(line).contains("policy-verdict:L3-L4 INGRESS ALLOWED"));
        assertThat(control.followerGone.await(10, TimeUnit.SECONDS)).isTrue();
    }

    @Test
    void aTraceWhoseTimeIsOverIsANoAndSaysWhatItMissed() throws InterruptedException {
        final CommandLineRun run = run("trace", "--match", "udp", "--count", "5", "--timeout", "2");

        assertThat(run.code()).isEqualTo(ExitCode.NO);
        assertThat(run.out()).isEmpty();
        assertThat(run.err())
                .isEqualTo(
                        """
                        sluice trace: 0 of 5 packets after 2 s
                        sluice trace: 3 packets lost: they came faster than they were read
                        """);
        assertThat(control.told)
                .containsExactly("trace TraceQuery[match=udp, packets=5, timeout=PT2S]");
        assertThat(control.traceGone.await(10, TimeUnit.SECONDS)).isTrue();
    }

    @Test
    void applyPrintsKubectlsWordsAndNamesTheFile() throws IOException {
        final Path file = Files.writeString(folder.resolve("a.yaml"), "kind: x\n");

        final CommandLineRun run = run("apply", "-f", file.toString(), "--dry-run=server");

        assertThat(run.out())
                .isEqualTo(
                        """
                        networkpolicy.networking.k8s.io/backend created (server dry run)
                        pod/frontend unchanged (server dry run)
                        """);
        assertThat(control.told).containsExactly("apply " + file + " DRY_RUN 1 lines");
    }

    @Test
    void aDryRunSaysInKubectlsWordsOnWhichSideItIsOne() throws IOException {
        final Path file = Files.writeString(folder.resolve("a.yaml"), "kind: x\n");

        final CommandLineRun client = run("apply", "-f", file.toString(), "--dry-run=client");
        final CommandLineRun bare = run("apply", "--dry-run", "-f", file.toString());

        assertThat(client.out()).contains("/backend created (dry run)\n");
        assertThat(bare.out()).contains("/backend created (server dry run)\n");
        assertThat(control.told).hasSize(2).allMatch(told -> told.contains("DRY_RUN"));
    }

    @Test
    void diffShowsWhatApplyWouldChangeAndSaysByItsStatusWhetherItDoes() throws IOException {
        final Path same =
                Files.writeString(
                        folder.resolve("same.yaml"),
                        "{kind: Namespace, metadata: {name: shop}, apiVersion: v1}");
        final Path changed =
                Files.writeString(
                        folder.resolve("changed.yaml"),
                        """
                        apiVersion: v1
                        kind: Namespace
                        metadata: {name: shop, labels: {a: b}}
                        ---
                        apiVersion: v1
                        kind: Namespace
                        metadata: {name: new}
                        """);
        final Path wrong = Files.writeString(folder.resolve("wrong.yaml"), "kind: Pod\n");

        final CommandLineRun nothing = run("diff", "-f", same.toString());
        final CommandLineRun something = run("diff", "-f", changed.toString());

        assertThat(nothing).isEqualTo(new CommandLineRun(ExitCode.YES, "", ""));
        assertThat(something.code()).isEqualTo(ExitCode.NO);
        assertThat(something.out())
                .isEqualTo(
                        """
                        --- LIVE/Namespace.shop
                        +++ MERGED/Namespace.shop
                        @@ -1,4 +1,6 @@
                         apiVersion: v1
                         kind: Namespace
                         metadata:
                        +  labels:
                        +    a: b
                           name: shop
                        --- LIVE/Namespace.new
                        +++ MERGED/Namespace.new
                        @@ -0,0 +1,4 @@
                        +apiVersion: v1
                        +kind: Namespace
                        +metadata:
                        +  name: new
                        """);
        assertThat(run("diff", "-f", wrong.toString()).code()).isEqualTo(ExitCode.USAGE);
        assertThat(control.told).isEmpty();
    }

    @Test
    void applyPrintsWarningsOnStandardErrorAndSucceeds() throws IOException {
        final Path file = Files.writeString(folder.resolve("a.yaml"), "toFQDNs: x\n");

        final CommandLineRun run = run("apply", "-f", file.toString());

        assertThat(run.code()).isZero();
        assertThat(run.err()).isEqualTo(file + ":7:3: spec.toFQDNs: warning: no effect\n");
        assertThat(run.out()).doesNotContain("warning").hasLineCount(2);
    }

    @Test
    void topPrintsOnePageOfRatesWhereOneIsWanted() {
        final CommandLineRun text = run("top", "--once", "--interval", "0.1");
        final CommandLineRun json = run("top", "--once", "--interval", "0.1", "-o", "jsonl");
        final CommandLineRun wrong = run("top", "--interval", "0");

        assertThat(text.err()).isEmpty();
        assertThat(text.out())
                .startsWith("node1  revision 7  flows 3 of 65536\n")
                .contains("shop/frontend   READY")
                .doesNotContain("\u001b");
        assertThat(json.out()).hasLineCount(1).contains("\"talkers\":[{\"from\":");
        assertThat(wrong.code()).isEqualTo(ExitCode.USAGE);
        assertThat(wrong.err()).isEqualTo("--interval 0.0: 0.1 to 3600 seconds\n");
    }

    @Test
    void severalFilesAreOneChange() throws IOException {
        final Path file = Files.writeString(folder.resolve("a.yaml"), "a: 1\n");
        final Path other = Files.writeString(folder.resolve("b.yaml"), "spec.ingres\n");

        final CommandLineRun run = run("apply", "-f", file.toString(), "-f", other.toString());

        assertThat(run.code()).isEqualTo(ExitCode.NO);
        assertThat(run.out()).isEmpty();
    }

    private static CutsReport cuts() {
        return new CutsReport(
                120,
                45,
                List.of(
                        new CutsReport.Pair(
                                "shop/frontend",
                                "shop/backend",
                                "TCP",
                                8080,
                                40,
                                CutsReport.Reason.INGRESS_DENIED,
                                "end of tier default: isolated by NetworkPolicy shop/deny"),
                        new CutsReport.Pair(
                                "10.9.9.9",
                                "shop/web",
                                "ICMP",
                                0,
                                1,
                                CutsReport.Reason.UNPLUGGED,
                                "")),
                "");
    }

    @Test
    void openFlowsThatAreCutAreToldOnStandardError() throws IOException {
        final Path file = Files.writeString(folder.resolve("a.yaml"), "a: 1\n");
        control.cuts = cuts();

        final CommandLineRun made = run("apply", "-f", file.toString());
        final CommandLineRun tried = run("delete", "netpol", "one", "--dry-run=server");
        final CommandLineRun refused = run("apply", "-f", file.toString(), "--refuse-cuts");

        assertThat(made.code()).isZero();
        assertThat(made.err())
                .isEqualTo(
                        """
                        warning: 45 of 120 open flows are cut:
                          shop/frontend -> shop/backend 8080/TCP: 40 flows: ingress denied: end of tier default: isolated by NetworkPolicy shop/deny
                          10.9.9.9 -> shop/web ICMP: 1 flow: endpoint unplugged
                          and 4 more flows
                        """);
        assertThat(tried.err())
                .startsWith("warning: 45 of 120 open flows would be cut (server dry run):\n");
        assertThat(refused.code()).isEqualTo(ExitCode.NO);
        assertThat(refused.err()).isEqualTo("nothing was changed: flows would be cut\n");
    }

    @ParameterizedTest
    @CsvSource({
        "CONFIRMED, 0, revision 7 is confirmed",
        "UNDONE, 1, revision 7 was not confirmed: undone"
    })
    void applyWaitsForItsConfirmation(
            final ConfirmationReport.State decision, final int code, final String word)
            throws Exception {
        final Path file = Files.writeString(folder.resolve("a.yaml"), "a: 1\n");
        final Thread other =
                Thread.ofVirtual()
                        .start(
                                () -> {
                                    try {
                                        control.pending.await();
                                        control.decide(decision);
                                    } catch (final InterruptedException e) {
                                        Thread.currentThread().interrupt();
                                    }
                                });

        final CommandLineRun run = run("apply", "-f", file.toString(), "--confirm", "1m30s");
        other.join();

        assertThat(run.code()).isEqualTo(code);
        assertThat(run.err())
                .isEqualTo(
                        "revision 7 is undone at 2026-03-01T12:01:30Z unless it is confirmed:"
                                + " sluice policy confirm\n"
                                + word
                                + "\n");
    }

    @Test
    void aConfirmationIsSeenInStatusAndGivenByACommand() throws IOException {
        final Path file = Files.writeString(folder.resolve("a.yaml"), "a: 1\n");

        assertThat(run("policy", "confirm").err()).isEqualTo("nothing waits for a confirmation\n");
        assertThat(run("apply", "-f", file.toString(), "--confirm", "60s", "--no-wait").code())
                .isZero();
        assertThat(run("status").out())
                .contains(
                        "Confirmation: revision 7 of the history is undone at 2026-03-01T12:01:00Z"
                                + " unless it is confirmed\n");
        assertThat(run("policy", "confirm").out()).isEqualTo("revision 7 is confirmed\n");
        assertThat(run("status").out()).doesNotContain("Confirmation");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "apply -f x --no-wait | --no-wait: only with --confirm",
                "policy rollback 1 --confirm soon | --confirm soon: not a time: as 60s, 5m, 1h30m",
                "policy rollback 1 --confirm 0s | confirm: 0 s: 1 to 86400 seconds",
                "policy rollback 1 --confirm 60s --dry-run=server | --confirm: a dry run changes nothing",
                "policy rollback x | sluice policy rollback x: a number of `sluice policy history`",
                "policy history 9 | revision 9 is not in the history",
                "delete netpol a b --confirm 60s | sluice delete: --confirm: one object, or -f",
            })
    void whatMakesNoSenseIsSaid(final String command, final String error) {
        final CommandLineRun run = run(command.split(" ", -1));

        assertThat(run.code()).isNotZero();
        assertThat(run.err()).contains(error);
        assertThat(control.confirmation).isEqualTo(ConfirmationReport.NONE);
    }

    @Test
    void rollbackSaysWhatItChangesAndWhoAsksIsKnownByTheSocket() {
        final CommandLineRun tried = run("policy", "rollback", "6", "--dry-run=server");
        final CommandLineRun made = run("policy", "rollback", "6");

        assertThat(tried.out())
                .isEqualTo("networkpolicy.networking.k8s.io/backend configured (server dry run)\n");
        assertThat(made.out()).isEqualTo("networkpolicy.networking.k8s.io/backend configured\n");
        final String user = System.getProperty("user.name");
        assertThat(control.told)
                .containsExactly("rollback 6 DRY_RUN of " + user, "rollback 6 CHANGE of " + user);
    }

    @Test
    void applyReadsStandardInput() {
        final CommandLineRun run =
                CommandLineRun.with(
                        Map.of(),
                        "a: 1\nb: 2\n",
                        "apply",
                        "-f",
                        "-",
                        "--socket",
                        socket.toString());

        assertThat(run.code()).isZero();
        assertThat(control.told).containsExactly("apply - CHANGE 2 lines");
    }

    @Test
    void aRefusedManifestEndsWithEveryProblemAndStatusOne() throws IOException {
        final Path file = Files.writeString(folder.resolve("a.yaml"), "spec.ingres");

        final CommandLineRun run = run("apply", "-f", file.toString());

        assertThat(run.code()).isEqualTo(ExitCode.NO);
        assertThat(run.err().lines())
                .containsExactly(file + ":1:1: first problem", file + ":2:1: second problem");
    }

    @Test
    void deleteTakesNamesOrManifests() throws IOException {
        final Path file = Files.writeString(folder.resolve("a.yaml"), "x");

        assertThat(run("delete", "netpol", "one", "two", "-n", "shop").out())
                .isEqualTo(
                        """
                        networkpolicy.networking.k8s.io "one" deleted
                        networkpolicy.networking.k8s.io "two" deleted
                        """);
        assertThat(run("delete", "-f", file.toString()).out())
                .isEqualTo("pod \"frontend\" deleted\n");
        assertThat(control.told)
                .containsExactly(
                        "delete netpol shop/one CHANGE",
                        "delete netpol shop/two CHANGE",
                        "delete " + file + " CHANGE");
    }

    @Test
    void aConflictIsStatusOneWithTheDaemonsReason() {
        final CommandLineRun run = run("delete", "netpol", "owned");

        assertThat(run.code()).isEqualTo(ExitCode.NO);
        assertThat(run.err()).contains("a watched folder owns it");
    }

    @Test
    void getSaysWhatIsNotThere() {
        final CommandLineRun missing = run("get", "netpol", "nobody", "-n", "shop");
        final CommandLineRun none = run("get", "netpol", "-n", "other", "-l", "team=api");

        assertThat(missing.code()).isEqualTo(ExitCode.NO);
        assertThat(missing.err())
                .isEqualTo(
                        "Error from server (NotFound): networkpolicies.networking.k8s.io"
                                + " \"nobody\" not found\n");
        assertThat(none.code()).isZero();
        assertThat(none.err()).isEqualTo("No resources found in other namespace.\n");
    }

    @Test
    void getPrintsWhatIsThereBesideWhatIsNot() {
        final CommandLineRun run = run("get netpol,cnp backend -n shop -o name".split(" ", -1));

        assertThat(run.out()).isEqualTo("networkpolicy.networking.k8s.io/backend\n");
        assertThat(run.err())
                .isEqualTo(
                        "Error from server (NotFound): ciliumnetworkpolicies.cilium.io"
                                + " \"backend\" not found\n");
        assertThat(run.code()).isEqualTo(ExitCode.NO);
    }

    @Test
    void deleteTriesEveryKindAndNameAndTellsWhatIsNotThere() {
        final CommandLineRun run = run("delete netpol,cnp missing web -n shop".split(" ", -1));

        assertThat(control.told)
                .containsExactly(
                        "delete netpol shop/missing CHANGE",
                        "delete netpol shop/web CHANGE",
                        "delete cnp shop/missing CHANGE",
                        "delete cnp shop/web CHANGE");
        assertThat(run.out().lines()).hasSize(2);
        assertThat(run.err())
                .isEqualTo(
                        """
                        Error from server (NotFound): networkpolicies.networking.k8s.io "missing" not found
                        Error from server (NotFound): ciliumnetworkpolicies.cilium.io "missing" not found
                        """);
        assertThat(run.code()).isEqualTo(ExitCode.NO);
    }

    @Test
    void whatIsUnpluggedIsToldInJsonAlsoWhenTheNextOneIsNotThere() {
        final CommandLineRun run =
                run("endpoint delete shop/frontend nobody -o jsonl".split(" ", -1));

        assertThat(run.out()).isEqualTo("{\"deleted\":\"shop/frontend\"}\n");
        assertThat(run.err()).contains("nobody: not found");
        assertThat(run.code()).isEqualTo(ExitCode.NO);
    }

    @Test
    void labelsAreSelectedAsWithKubectl() {
        final CommandLineRun equal = run("get", "netpol", "-A", "-l", "team=api", "-o", "name");
        final CommandLineRun set =
                run("get", "netpol", "-A", "-l", "team in (api,x), !nobody", "-o", "name");
        final CommandLineRun wrong = run("get", "netpol", "-l", "team in api");

        assertThat(set.out()).isNotEmpty().isEqualTo(equal.out());
        assertThat(wrong.code()).isEqualTo(ExitCode.USAGE);
        assertThat(wrong.err()).isEqualTo("-l team in api: found 'api', expected: '('\n");
    }

    @Test
    void endpointAddSendsWhatWasGiven() {
        final CommandLineRun run =
                run(
                        ("endpoint add web -n shop --netns shop-web --ip 10.0.0.1 --ip fd00::1"
                                        + " -l app=web -l tier=x --mtu 9000 --device net1 --port xdp")
                                .split(" ", -1));

        assertThat(run.err()).isEmpty();
        assertThat(run.out())
                .isEqualTo("endpoint shop/frontend added: READY, 10.244.0.10, fd00:10:244::10\n");
        assertThat(control.told)
                .containsExactly(
                        "EndpointRequest[namespace=shop, name=web, networkNamespace=shop-web, pid=0,"
                                + " addresses=[10.0.0.1, fd00::1], labels={app=web, tier=x},"
                                + " device=net1, mtu=9000, port=xdp]");
    }

    @Test
    void endpointAddAsksTheContainerRuntimeForTheProcess() throws IOException {
        final Path runtime =
                Files.writeString(
                        folder.resolve("podman"),
                        "#!/bin/sh\n[ \"$5\" = shop-web-1 ] && echo 4242 || echo no such container\n");
        Files.setPosixFilePermissions(runtime, PosixFilePermissions.fromString("rwx------"));
        final Map<String, String> environment =
                Map.of("SLUICE_SOCKET", socket.toString(), "PATH", folder + ":/nowhere");

        final CommandLineRun found =
                CommandLineRun.with(
                        environment, "", "endpoint", "add", "web", "--container", "shop-web-1");
        final CommandLineRun missing =
                CommandLineRun.with(
                        environment, "", "endpoint", "add", "web", "--container", "other");

        assertThat(found.err()).isEmpty();
        assertThat(control.told).singleElement().asString().contains("pid=4242");
        assertThat(missing.code()).isEqualTo(ExitCode.NO);
        assertThat(missing.err())
                .isEqualTo("--container other: not found: podman: no such container\n");
    }

    @ParameterizedTest
    @CsvSource({
        "endpoint add web, exactly one of --netns",
        "endpoint add web --netns a --pid 3, given are 2",
        "trace --match tpc, 'match: position 1: \"tpc\": accepted: tcp'",
        "trace --count 0, 'count: 0: a number from 1 to 1000000'",
        "trace --timeout 3601, 'timeout: 3601: seconds from 1 to 3600'",
        "trace -o yaml, 'accepted are text, json, jsonl'",
        "observe --explain -o table, a table has no place for it",
        "endpoint add web --netns a --port veth, accepted are tap and xdp",
        "observe --verdict MAYBE, 'verdict: \"MAYBE\": FORWARDED, DROPPED, ERROR, AUDIT, REDIRECTED'",
        "observe --type end:over, 'trace:to-proxy, trace:to-stack, end or end:REASON'",
        "observe --type agent, 'drop, l7, policy-verdict, trace, trace:to-endpoint'",
        "observe --not --last 3, a filter is expected",
        "observe --not --pod, its value is missing",
        "observe --first 1 --last 1, '--first and --last: one of them at most'",
        "observe --http-path (, a regular expression",
        "observe --http-status 4x, its beginning as 4+",
        "observe --tcp-flags SIN, a list of FIN",
        "observe --ip here, an address",
        "observe --since yesterday, not a time",
        "observe -o xml, 'accepted are compact, json, jsonpb, dict, table, tab'",
        "drops -o csv, 'accepted are text, json, jsonl, yaml'",
        "get frogs, 'kind frogs: unknown'",
        "apply, '-f: missing'",
        "apply -f /nowhere.yaml, '/nowhere.yaml: no such file or folder'",
        "apply -f /dev/null --dry-run=maybe, 'accepted are none, client, server'",
        "delete netpol, 'which? Give a name'",
        "nonsense, nonsense",
        "policy, 'which command?'",
        "drops --frobnicate, --frobnicate",
    })
    void wrongUsageIsStatusTwoAndSaysWhatIsAccepted(final String command, final String message) {
        final CommandLineRun run = run(command.split(" ", -1));

        assertThat(run.code()).isEqualTo(ExitCode.USAGE);
        assertThat(run.err()).contains(message);
        assertThat(run.out()).isEmpty();
    }

    @Test
    void anUnknownEndpointIsStatusOne() {
        final CommandLineRun run = run("endpoint", "get", "nobody");

        assertThat(run.code()).isEqualTo(ExitCode.NO);
        assertThat(run.err()).startsWith("endpoint default/nobody: not found");
    }

    @Test
    void withoutADaemonTheLineSaysWhichSocketAndHowToStartOne() {
        final CommandLineRun run =
                CommandLineRun.with(Map.of("SLUICE_SOCKET", "/nowhere/api.sock"), "", "status");

        assertThat(run.code()).isEqualTo(ExitCode.UNREACHABLE);
        assertThat(run.err()).contains("/nowhere/api.sock").contains("sluice run -f DIR");
        assertThat(run.err().lines()).hasSize(1);
    }

    @Test
    void withoutADaemonTablesSayHowToReadWhatItKnewLast() {
        for (final String command :
                List.of("identity list", "identity get 1", "ipcache list", "fqdn list")) {
            final CommandLineRun run =
                    CommandLineRun.with(
                            Map.of("SLUICE_SOCKET", "/nowhere/api.sock"),
                            "",
                            command.split(" ", -1));

            assertThat(run.code()).isEqualTo(ExitCode.UNREACHABLE);
            assertThat(run.err()).contains("--offline [--state-folder FOLDER]");
            assertThat(run.err().lines()).hasSize(1);
        }
    }

    @Test
    void anIdentityThatIsNotThereIsANo() {
        final CommandLineRun run = run("identity", "get", "4711");

        assertThat(run.code()).isEqualTo(ExitCode.NO);
        assertThat(run.err()).isEqualTo("identity 4711: not found\n");
    }

    @Test
    void theSocketIsForOwnerAndGroupOnlyAndGoesWithTheServer() throws IOException {
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(socket)))
                .isEqualTo("rw-rw----");

        server.close();

        assertThat(socket).doesNotExist();
    }

    @Test
    void liveProbesAreJudgedByTheDaemonsPolicy() throws IOException {
        final String probes =
                """
                {"from":"shop/frontend","to":"shop/backend","protocol":"TCP","port":8080}
                {"from":"shop/frontend","to":"shop/database","protocol":"TCP","port":5432}
                """;
        final Path file = Files.writeString(folder.resolve("p.jsonl"), probes);

        final CommandLineRun many = run("policy", "eval", "--live", "--probes", file.toString());
        final CommandLineRun one =
                run(
                        ("policy eval --live --from shop/backend --to shop/frontend --port http"
                                        + " -o json")
                                .split(" ", -1));

        assertThat(many.code()).isZero();
        assertThat(many.out().lines().map(line -> line.contains("\"allowed\":true,\"verdict\"")))
                .containsExactly(true, false);
        assertThat(one.code()).isEqualTo(ExitCode.USAGE);
    }

    @Test
    void jsonOutputIsJson() throws IOException {
        for (final String command :
                List.of(
                        "status",
                        "drops",
                        "metrics",
                        "identity list",
                        "ct list",
                        "ipcache list",
                        "fqdn list")) {
            final CommandLineRun run = run((command + " -o json").split(" ", -1));
            assertThat(new ObjectMapper().readTree(run.out()).isEmpty()).as(command).isFalse();
        }
    }
}
