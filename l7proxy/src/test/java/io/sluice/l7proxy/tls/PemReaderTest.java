package io.sluice.l7proxy.tls;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.l7proxy.tls.Authority.Issued;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Keys as openssl writes them. */
final class PemReaderTest {
    private static Authority authority;

    @BeforeAll
    static void make(@TempDir final Path folder) throws Exception {
        authority = new Authority(folder, "ca");
    }

    @ParameterizedTest
    @ValueSource(strings = {"rsa:2048", "ec"})
    void keysOfBothFormsAreRead(final String kind) throws Exception {
        final Issued issued = authority.issue("a.example", kind);
        final OwnKey modern = OwnKey.read(issued.certificate(), issued.key());
        final String traditional = authority.traditional(issued);
        assertThat(traditional).contains(kind.equals("ec") ? "BEGIN EC " : "BEGIN RSA ");
        // It has signed what the certificate's own key verifies, or it would be refused.
        assertThat(refusal(issued.certificate(), traditional)).isEmpty();
        assertThat(modern.toString()).isEqualTo("key of CN=leaf");
    }

    @Test
    void whatCannotBeUsedIsSaidWithoutQuotingIt() throws Exception {
        final Issued one = authority.issue("a.example");
        final Issued other = authority.issue("a.example");
        final Issued curve = authority.issue("a.example", "ec");
        assertThat(refusal(one.certificate(), other.key()))
                .isEqualTo("the private key is not the key of the certificate");
        assertThat(refusal(one.certificate(), curve.key()))
                .isEqualTo("the private key holds no private key of the certificate's kind");
        assertThat(refusal(one.certificate(), authority.encrypted(one)))
                .isEqualTo("the private key holds a key behind a password");
        assertThat(refusal(one.certificate(), one.certificate()))
                .isEqualTo("the private key holds no PEM private key");
        assertThat(refusal(one.certificate(), "-----BEGIN PRIVATE KEY-----\nAAAA"))
                .isEqualTo("the private key holds PEM that does not end");
        assertThat(refusal(one.key(), one.key()))
                .isEqualTo("the certificate holds no PEM certificate");
        assertThat(refusal(one.certificate().replace("MII", "AAA"), one.key()))
                .isEqualTo("the certificate holds a certificate that cannot be read");
        assertThatThrownBy(() -> OriginatingTls.of("", Optional.empty()))
                .hasMessage("the trusted CA holds no PEM certificate");
    }

    private static String refusal(final String certificate, final String key) {
        try {
            TerminatingTls.of(certificate, key, Optional.empty());
            return "";
        } catch (final TlsKeyException refused) {
            return String.valueOf(refused.getMessage());
        }
    }
}
