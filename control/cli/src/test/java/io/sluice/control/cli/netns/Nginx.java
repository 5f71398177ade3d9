package io.sluice.control.cli.netns;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * A real nginx in a pod, at port 80 of both its addresses, with TLS at 443 and with HTTP/2 and no
 * TLS at 82; ends with the node.
 */
final class Nginx {
    private final Path log;

    private Nginx(final Path log) {
        this.log = log;
    }

    /**
     * Starts it.
     *
     * @param folder its files are in {@code files/}; one is {@code public/file}
     * @param number of the pod's addresses
     */
    static Nginx start(final TestNode node, final String pod, final Path folder, final int number)
            throws IOException {
        final Path files = folder.resolve("files");
        Files.createDirectories(files.resolve("public"));
        Files.writeString(files.resolve("public/file"), "nginx says hello\n");
        final Path log = folder.resolve("access.log");
        Command.need(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-subj",
                "/CN=shop.example",
                "-addext",
                "subjectAltName=DNS:*.shop.example",
                "-keyout",
                folder.resolve("key.pem").toString(),
                "-out",
                folder.resolve("cert.pem").toString());
        final Path config = folder.resolve("nginx.conf");
        Files.writeString(
                config,
                """
                user root;
                worker_processes 1;
                daemon off;
                pid %1$s/nginx.pid;
                error_log stderr warn;
                events { worker_connections 4096; }
                http {
                  log_format seen '$remote_addr:$remote_port $request_method $request_uri';
                  access_log %1$s/access.log seen;
                  client_body_temp_path %1$s/body;
                  proxy_temp_path %1$s/proxy;
                  fastcgi_temp_path %1$s/fastcgi;
                  uwsgi_temp_path %1$s/uwsgi;
                  scgi_temp_path %1$s/scgi;
                  server {
                    listen %2$s:80;
                    listen [%3$s]:80;
                    listen %2$s:443 ssl;
                    listen %2$s:82 http2;
                    listen [%3$s]:82 http2;
                    ssl_certificate %1$s/cert.pem;
                    ssl_certificate_key %1$s/key.pem;
                    root %4$s;
                  }
                }
                """
                        .formatted(folder, TestNode.ipv4(number), TestNode.ipv6(number), files));
        node.start(pod, "nginx", "-e", "stderr", "-c", config.toString());
        TestNode.await(
                "nginx listens",
                () ->
                        node.in(pod, "curl", "-s", "http://" + TestNode.ipv4(number) + "/").exit()
                                == 0);
        return new Nginx(log);
    }

    /** Address, port, method and path of each request, in order. */
    List<String> log() throws IOException {
        return Files.readAllLines(log);
    }
}
