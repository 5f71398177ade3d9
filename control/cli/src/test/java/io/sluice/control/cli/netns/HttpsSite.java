package io.sluice.control.cli.netns;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A real nginx that is some names on the internet: HTTPS at every address of its namespace, with a
 * certificate of an authority of its own. Ends with the node.
 */
final class HttpsSite {
    /** What {@code GET /} answers. */
    static final String GREETING = "a site outside";

    private final Path authority;

    private HttpsSite(final Path authority) {
        this.authority = authority;
    }

    /** Starts it. */
    static HttpsSite start(final TestNode node, final String namespace, final Path folder)
            throws IOException {
        final Path authority = folder.resolve("ca.pem");
        final String keyOfAuthority = folder.resolve("ca.key").toString();
        openssl(
                "req -x509 -newkey rsa:2048 -nodes -subj /CN=authority -days 2",
                "-keyout",
                keyOfAuthority,
                "-out",
                authority.toString());
        openssl(
                "req -x509 -newkey rsa:2048 -nodes -subj /CN=api.stripe.com -days 2",
                "-addext",
                "subjectAltName=DNS:*.stripe.com,DNS:*.example.com,DNS:*.example.org",
                "-addext",
                "basicConstraints=critical,CA:FALSE",
                "-CA",
                authority.toString(),
                "-CAkey",
                keyOfAuthority,
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
                events { worker_connections 1024; }
                http {
                  access_log off;
                  client_body_temp_path %1$s/body;
                  proxy_temp_path %1$s/proxy;
                  fastcgi_temp_path %1$s/fastcgi;
                  uwsgi_temp_path %1$s/uwsgi;
                  scgi_temp_path %1$s/scgi;
                  server {
                    listen [::]:443 ssl ipv6only=off;
                    ssl_certificate %1$s/cert.pem;
                    ssl_certificate_key %1$s/key.pem;
                    location / { default_type text/plain; return 200 "%2$s\\n"; }
                  }
                }
                """
                        .formatted(folder, GREETING));
        node.start(namespace, "nginx", "-e", "stderr", "-c", config.toString());
        TestNode.await(
                "nginx listens",
                () -> node.in(namespace, "curl", "-sk", "https://127.0.0.1/").exit() == 0);
        return new HttpsSite(authority);
    }

    private static void openssl(final String words, final String... more) {
        final List<String> line = new ArrayList<>(List.of("openssl"));
        line.addAll(List.of(words.split(" ", -1)));
        line.addAll(List.of(more));
        Command.need(line.toArray(String[]::new));
    }

    /** Certificate of the authority, for clients. */
    String authority() {
        return authority.toString();
    }
}
