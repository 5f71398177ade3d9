package io.sluice.l7proxy.tls;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.ArrayList;
import java.util.List;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** A CA that openssl made, and certificates that it signed. */
public final class Authority {
    /** A certificate and its key, PKCS#8. */
    public record Issued(String certificate, String key) {}

    private final Path folder;
    private final String name;

    public Authority(final Path folder, final String name) throws Exception {
        this.folder = folder;
        this.name = name;
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30")
                .add("-subj", "/CN=" + name, "-keyout", file(name + ".key"))
                .add("-out", file(name + ".crt"))
                .run();
    }

    /** The CA's own certificate. */
    public String certificate() throws IOException {
        return read(name + ".crt");
    }

    /** A certificate for a server of this name. */
    public Issued issue(final String host) throws Exception {
        return issue(host, "rsa:2048");
    }

    /**
     * @param kind as in {@code -newkey}
     */
    Issued issue(final String host, final String kind) throws Exception {
        final Command command = openssl("req", "-x509", "-newkey", kind, "-nodes", "-days", "30");
        if (kind.equals("ec")) {
            command.add("-pkeyopt", "ec_paramgen_curve:prime256v1");
        }
        command.add("-CA", file(name + ".crt"), "-CAkey", file(name + ".key"))
                .add("-subj", "/CN=leaf", "-addext", "subjectAltName=DNS:" + host)
                .add("-addext", "basicConstraints=critical,CA:FALSE")
                .add("-keyout", file("leaf.key"), "-out", file("leaf.crt"))
                .run();
        return new Issued(read("leaf.crt"), read("leaf.key"));
    }

    /** The same key as tools before PKCS#8 write it. */
    String traditional(final Issued issued) throws Exception {
        Files.writeString(folder.resolve("in.key"), issued.key());
        openssl("pkey", "-traditional", "-in", file("in.key"), "-out", file("out.key")).run();
        return read("out.key");
    }

    /** The same key behind a password. */
    String encrypted(final Issued issued) throws Exception {
        Files.writeString(folder.resolve("in.key"), issued.key());
        openssl("pkey", "-aes128", "-passout", "pass:x", "-in", file("in.key"))
                .add("-out", file("out.key"))
                .run();
        return read("out.key");
    }

    /** For a client that trusts this CA, or a server; with a certificate, or without. */
    public SSLContext context(final Issued... own) throws Exception {
        final KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null);
        trusted.setCertificateEntry("ca", PemReader.certificates(certificate()).getFirst());
        final TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
        trust.init(trusted);
        final KeyStore keys = KeyStore.getInstance(KeyStore.getDefaultType());
        keys.load(null);
        for (final Issued issued : own) {
            final OwnKey key = OwnKey.read(issued.certificate(), issued.key());
            keys.setKeyEntry(
                    "own",
                    key.key(),
                    new char[0],
                    key.chain().toArray(new java.security.cert.X509Certificate[0]));
        }
        final KeyManagerFactory show = KeyManagerFactory.getInstance("PKIX");
        show.init(keys, new char[0]);
        final SSLContext context = SSLContext.getInstance("TLS");
        context.init(show.getKeyManagers(), trust.getTrustManagers(), null);
        return context;
    }

    private String file(final String file) {
        return folder.resolve(file).toString();
    }

    private String read(final String file) throws IOException {
        return Files.readString(folder.resolve(file));
    }

    private static Command openssl(final String... words) {
        return new Command().add("openssl").add(words);
    }

    private static final class Command {
        private final List<String> line = new ArrayList<>();

        Command add(final String... words) {
            line.addAll(List.of(words));
            return this;
        }

        void run() throws Exception {
            final Process process = new ProcessBuilder(line).redirectErrorStream(true).start();
            final String said = process.inputReader().lines().toList().toString();
            if (process.waitFor() != 0) {
                throw new AssertionError(line + ": " + said);
            }
        }
    }
}
