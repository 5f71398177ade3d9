package io.sluice.control.policy;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.l7proxy.rule.SecretName;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** Secrets: what is read, and that nothing of it is said. */
final class SecretReaderTest {
    private static final String HEAD =
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\n";

    private static ReadResult read(final String body) {
        return ManifestReader.read("f", HEAD + body);
    }

    private static KubeObject.Secret secret(final String body) {
        return (KubeObject.Secret) read(body).objects().getFirst();
    }

    private static String complaints(final String body) {
        final ReadResult read = read(body);
        assertThat(read.objects()).isEmpty();
        return read.problems().stream().map(Problem::toString).collect(Collectors.joining("\n"));
    }

    @Test
    void valuesAreReadAndShownNowhere() {
        final KubeObject.Secret secret =
                secret("data: {a: aHVzaA==, b: eA==}\nstringData: {b: over}\n");
        assertThat(secret.values()).containsEntry("a", "hush").containsEntry("b", "over");
        assertThat(secret.toString()).isEqualTo("Secret shop/s");
        assertThat(secret.shown().toString())
                .contains("a=[redacted]")
                .doesNotContain("aHVzaA")
                .doesNotContain("over");
    }

    @Test
    void whatIsWrongIsSaidWithoutTheValue() {
        assertThat(complaints("data: {a: 'hush hush'}\n"))
                .contains("data.a: Invalid value: is not base64")
                .doesNotContain("hush");
        assertThat(complaints("stringData: {pin: 4711}\n"))
                .contains("must be a string")
                .doesNotContain("4711");
        assertThat(complaints("type: kubernetes.io/tls\nstringData: {tls.crt: x}\n"))
                .contains("Required value: tls.key");
        assertThat(complaints("stringData: {a: '" + "x".repeat(1 << 20) + "', b: y}\n"))
                .contains("Too long");
    }

    @Test
    void aHeaderIsComparedWithTheOnlyValue() {
        final SecretName name = new SecretName("", "s").orIn("shop");
        final World one = World.of(List.of(secret("stringData: {token: t}\n")));
        final World two = World.of(List.of(secret("stringData: {token: t, more: u}\n")));
        assertThat(TlsSecrets.headerValue(TlsSecrets.Lookup.in(one), name)).hasValue("t");
        assertThat(TlsSecrets.headerValue(TlsSecrets.Lookup.in(two), name)).isEmpty();
        assertThat(TlsSecrets.headerValue(TlsSecrets.Lookup.in(World.EMPTY), name)).isEmpty();
    }
}
