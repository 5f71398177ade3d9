package io.sluice.control.agent.api;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.agent.RequestException;
import io.sluice.control.policy.IdentityAllocator;
import io.sluice.control.policy.ManifestReader;
import io.sluice.control.policy.PolicyCompiler;
import io.sluice.control.policy.PolicyEvaluator;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.ProbeException;
import io.sluice.control.policy.World;
import java.io.IOException;
import java.io.StringReader;
import java.io.StringWriter;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The quick way and the strict way must give the same answers, to the byte. */
final class ProbeStreamTest {
    private static final String WORLD =
            """
            {apiVersion: v1, kind: Pod, metadata: {name: a, namespace: x, labels: {app: a}},
             spec: {containers: [{name: c, ports: [{name: web, containerPort: 80}]}]},
             status: {podIPs: [{ip: 10.0.0.1}, {ip: "fd00::1"}]}}
            ---
            {apiVersion: v1, kind: Pod, metadata: {name: b, namespace: x, labels: {app: b}},
             spec: {containers: [{name: c, ports: [{name: web, containerPort: 80}]}]},
             status: {podIPs: [{ip: 10.0.0.2}]}}
            ---
            {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: x},
             spec: {podSelector: {matchLabels: {app: b}},
                    ingress: [{from: [{podSelector: {matchLabels: {app: a}}}], ports: [{port: 80}]}]}}
            """;

    private static final List<String> LINES =
            List.of(
                    "{\"from\":\"x/a\",\"to\":\"x/b\",\"protocol\":\"TCP\",\"port\":80}",
                    "{\"from\":\"x/a\",\"to\":\"x/b\",\"protocol\":\"TCP\",\"port\":\"web\"}",
                    " {\"port\":81,\"protocol\":\"tcp\",\"to\":\"x/b\",\"from\":\"x/a\"} ",
                    "{\"from\":\"x/b\",\"to\":\"x/b\",\"protocol\":\"UDP\",\"port\":\"53\"}",
                    "{\"from\":\"192.0.2.1\",\"to\":\"x/b\",\"protocol\":\"ICMP\",\"icmp\":{\"type\":3,\"code\":1}}",
                    "{\"from\":\"x/b\",\"to\":\"192.0.2.1\",\"protocol\":\"47\"}",
                    "{\"from\":\"x\\/a\",\"to\":\"\\u0078/b\",\"protocol\":\"TCP\",\"port\":80,\"http\":"
                            + "{\"method\":\"GET\",\"path\":\"/\",\"host\":\"h\",\"headers\":{\"a\":\"b\",\"c\":\"\"}},"
                            + "\"kafka\":{\"api\":\"produce\",\"topic\":\"t\",\"clientId\":\"c\"},"
                            + "\"dns\":\"n\",\"sni\":\"\",\"toName\":\"t\"}",
                    "{\"from\":\"x/a\",\"to\":\"x/b\",\"protocol\":\"TCP\",\"port\":80,\"port\":80}",
                    "{\"from\":\"x/a\",\"to\":\"x/b\",\"protocol\":\"TCP\",\"port\":080}",
                    "{\"from\":\"x/a\",\"to\":\"x/b\",\"protocol\":\"TCP\",\"port\":-0}",
                    "{\"from\":\"x/a\",\"to\":\"x/b\",\"protocol\":\"TCP\",\"port\":1.0}",
                    "{\"from\":\"x/a\",\"to\":\"x/b\",\"protocol\":\"TCP\",\"port\":99999999999}",
                    "{\"from\":\"x/a\",\"to\":\"x/b\",\"protocol\":\"TCP\",\"port\":null}",
                    "{\"from\":\"x/a\",\"to\":\"x/b\",\"protocol\":\"ICMP\",\"icmp\":{\"type\":256}}",
                    "{\"from\":\"x/a\",\"to\":\"x/b\",\"protocol\":\"ICMP\",\"icmp\":{\"typ\":8}}",
                    "{\"from\":\"x/a\",\"to\":\"x/b\",\"protocol\":\"ICMP\",\"icmp\":8}",
                    "{\"from\":\"x/a\",\"to\":\"x/b\",\"protocol\":\"TCP\",\"port\":80,\"http\":{\"headers\":"
                            + "{\"a\":\"\",\"a\":\"b\"}}}",
                    "{\"from\":\"x/a\",\"to\":\"x/b\",\"protocol\":\"TCP\",\"port\":80,\"http\":{\"headers\":[]}}",
                    "{\"from\":\"x/a\",\"to\":\"x/b\",\"protocol\":\"TCP\",\"port\":80,\"dns\":null}",
                    "{\"from\":\"x/a\",\"to\":\"x/b\",\"protocol\":\"TCP\",\"port\":80,\"prot\":\"\"}",
                    "{\"from\":\"\",\"to\":\"x/b\",\"protocol\":\"TCP\",\"port\":80}",
                    "{\"from\":\"x/a\",\"to\":\"x/none\",\"protocol\":\"TCP\",\"port\":80}",
                    "{\"from\":\"x/a\",\"to\":\"x/b\",\"protocol\":\"TCP\",\"port\":80} {}",
                    "{\"from\":\"x/a\",\"to\":\"x/b\",\"protocol\":\"TCP\",\"port\":80",
                    "[]",
                    "nonsense \u00e9\u2028",
                    "\u2003 ",
                    "");

    private final PolicyEvaluator evaluator = evaluator();

    private static PolicyEvaluator evaluator() {
        final World world = World.of(ManifestReader.read("world.yaml", WORLD).objects());
        return new PolicyEvaluator(
                world,
                PolicyCompiler.compile(world, new IdentityAllocator(), PolicyOptions.DEFAULTS));
    }

    /** Every line the strict way, through a tree. */
    private ProbeJson.Answers strictly(final String text, final ProbeJson.Detail detail) {
        final StringBuilder answers = new StringBuilder();
        int errors = 0;
        for (final String line : text.lines().filter(line -> !line.isBlank()).toList()) {
            try {
                answers.append(ProbeJson.answer(ProbeJson.read(line), evaluator, detail));
            } catch (final ProbeException | RequestException e) {
                answers.append(ProbeJson.error(String.valueOf(e.getMessage())));
                errors++;
            }
            answers.append('\n');
        }
        return new ProbeJson.Answers(answers.toString(), errors);
    }

    private ProbeJson.Answers streamed(final String text, final ProbeJson.Detail detail)
            throws IOException {
        final StringWriter answers = new StringWriter();
        final int errors = ProbeStream.answer(new StringReader(text), answers, evaluator, detail);
        return new ProbeJson.Answers(answers.toString(), errors);
    }

    @ParameterizedTest
    @EnumSource(ProbeJson.Detail.class)
    void answersAreThoseOfTheStrictWay(final ProbeJson.Detail detail) throws IOException {
        for (final String lineEnd : List.of("\n", "\r\n", "\r")) {
            final String text = String.join(lineEnd, LINES);

            assertThat(streamed(text, detail)).isEqualTo(strictly(text, detail));
            assertThat(ProbeJson.answerAll(text, evaluator, detail))
                    .isEqualTo(strictly(text, detail));
        }
    }

    @Test
    void linesWithRandomSlipsAreAnsweredAsStrictly() throws IOException {
        final Random random = new Random(7);
        final String characters = "{}[]\",:0189-.ex/ab\\u \u00e9";
        final StringBuilder text = new StringBuilder();
        for (int i = 0; i < 20_000; i++) {
            final StringBuilder line = new StringBuilder(LINES.get(random.nextInt(8)));
            for (int slips = random.nextInt(3); slips > 0; slips--) {
                final int at = random.nextInt(line.length());
                final char slip = characters.charAt(random.nextInt(characters.length()));
                switch (random.nextInt(3)) {
                    case 0 -> line.deleteCharAt(at);
                    case 1 -> line.insert(at, slip);
                    default -> line.setCharAt(at, slip);
                }
            }
            text.append(line).append('\n');
        }

        final ProbeJson.Answers answers = streamed(text.toString(), ProbeJson.Detail.VERDICT);

        assertThat(answers.errors()).isBetween(5_000, 19_000);
        assertThat(answers).isEqualTo(strictly(text.toString(), ProbeJson.Detail.VERDICT));
    }

    @Test
    void aLineLongerThanAPieceIsOneLineAndTheLastNeedsNoEnd() throws IOException {
        final String blanks = " ".repeat(700_000);
        final String text =
                LINES.get(0) + "\n" + LINES.get(0) + blanks + "\n" + blanks + "\n" + LINES.get(1);

        assertThat(streamed(text, ProbeJson.Detail.VERDICT))
                .isEqualTo(strictly(text, ProbeJson.Detail.VERDICT));
        assertThat(streamed(text, ProbeJson.Detail.VERDICT).lines().lines()).hasSize(3);
    }
}
