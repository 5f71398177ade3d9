package io.sluice.l7proxy.http;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.IOException;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** An nginx of its own folder and port that answers 200 to everything and logs request lines. */
public final class Nginx implements AutoCloseable {
    private static final String CONFIG =
            """
            daemon off;
            master_process off;
            pid FOLDER/pid;
            error_log FOLDER/error.log notice;
            events { worker_connections 256; }
            http {
                log_format line escape=none '$request';
                access_log FOLDER/access.log line;
                log_format peer escape=none '$remote_addr';
                access_log FOLDER/peers.log peer;
                client_body_temp_path FOLDER/body;
                proxy_temp_path FOLDER/proxy;
                fastcgi_temp_path FOLDER/fastcgi;
                uwsgi_temp_path FOLDER/uwsgi;
                scgi_temp_path FOLDER/scgi;
                merge_slashes off;
                large_client_header_buffers 4 64k;
                server {
                    listen ADDRESSPROTOCOL;
                    location / { return 200 "ok"; }
                    location /public/file { root FOLDER; }
                }
            }
            """;

    private final Path folder;
    private final Process process;
    private final InetSocketAddress address;

    private Nginx(final Path folder, final Process process, final InetSocketAddress address) {
        this.folder = folder;
        this.process = process;
        this.address = address;
    }

    /** One that speaks HTTP/1.1. */
    public static Nginx start() throws IOException, InterruptedException {
        return start(InetAddress.getLoopbackAddress(), freePort(), List.of());
    }

    /** One that speaks HTTP/2 from the first byte. */
    public static Nginx startHttp2() throws IOException, InterruptedException {
        return start(InetAddress.getLoopbackAddress(), freePort(), List.of(), " http2");
    }

    /**
     * One with TLS.
     *
     * @param protocol empty, or {@code http2} for one that speaks it too
     */
    public static Nginx startSecure(
            final String protocol, final String certificate, final String key)
            throws IOException, InterruptedException {
        final Path keys = Files.createTempDirectory("sluice-nginx-keys");
        try {
            return start(
                    InetAddress.getLoopbackAddress(),
                    freePort(),
                    List.of(),
                    " ssl %s; ssl_certificate %s; ssl_certificate_key %s"
                            .formatted(
                                    protocol,
                                    Files.writeString(keys.resolve("crt"), certificate),
                                    Files.writeString(keys.resolve("key"), key)));
        } finally {
            // It has read them when it listens.
            Files.deleteIfExists(keys.resolve("crt"));
            Files.deleteIfExists(keys.resolve("key"));
            Files.delete(keys);
        }
    }

    /**
     * Starts it.
     *
     * @param prefix command before its own, such as the one that enters a namespace
     */
    static Nginx start(final InetAddress own, final int port, final List<String> prefix)
            throws IOException, InterruptedException {
        return start(own, port, prefix, "");
    }

    private static Nginx start(
            final InetAddress own, final int port, final List<String> prefix, final String protocol)
            throws IOException, InterruptedException {
        final Path folder = Files.createTempDirectory("sluice-nginx");
        final Path config = folder.resolve("nginx.conf");
        Files.writeString(
                config,
                CONFIG.replace("FOLDER", folder.toString())
                        .replace("PROTOCOL", protocol)
                        .replace(
                                "ADDRESS",
                                own instanceof Inet6Address
                                        ? "[" + own.getHostAddress() + "]:" + port
                                        : own.getHostAddress() + ":" + port));
        final List<String> command =
                Stream.concat(
                                prefix.stream(),
                                Stream.of(
                                        "/usr/sbin/nginx",
                                        "-p",
                                        folder.toString(),
                                        "-c",
                                        config.toString()))
                        .toList();
        final Process process =
                new ProcessBuilder(command)
                        .redirectErrorStream(true)
                        .redirectOutput(folder.resolve("out").toFile())
                        .start();
        final Nginx nginx = new Nginx(folder, process, new InetSocketAddress(own, port));
        // It writes its process number once it listens.
        while (!Files.exists(folder.resolve("pid"))) {
            if (process.waitFor(10, TimeUnit.MILLISECONDS)) {
                final String said = Files.readString(folder.resolve("out"));
                nginx.close();
                throw new IOException("nginx ended: " + said);
            }
        }
        return nginx;
    }

    private static int freePort() throws IOException {
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }

    public InetSocketAddress address() {
        return address;
    }

    /** A folder that it serves as {@code /public/file...}. */
    public Path files() throws IOException {
        return Files.createDirectories(folder.resolve("public"));
    }

    /** Ends it, and answers the request lines it saw, in the order they were answered. */
    public List<String> stop() throws IOException, InterruptedException {
        process.destroy();
        process.waitFor();
        return Files.readAllLines(folder.resolve("access.log"), ISO_8859_1);
    }

    /** After {@link #stop}: the addresses that its clients had. */
    List<String> peers() throws IOException {
        return Files.readAllLines(folder.resolve("peers.log"), ISO_8859_1);
    }

    @Override
    public void close() throws IOException {
        process.destroyForcibly();
        try (Stream<Path> files = Files.walk(folder)) {
            for (final Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }
}
