package io.sluice.control.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.sluice.control.agent.api.ApiJson;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Answers that a healthy daemon does not give, byte by byte. */
final class ApiClientTest {
    @TempDir private Path folder = Path.of("");

    /** Answers one connection with these bytes and then closes it, or holds it until released. */
    private ApiClient daemonThatSays(final String bytes, final CountDownLatch closed)
            throws IOException {
        final Path socket = folder.resolve("api.sock");
        final ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        listener.bind(UnixDomainSocketAddress.of(socket));
        Thread.ofVirtual()
                .start(
                        () -> {
                            try (listener;
                                    SocketChannel channel = listener.accept()) {
                                channel.read(ByteBuffer.allocate(1 << 16));
                                channel.write(
                                        ByteBuffer.wrap(bytes.getBytes(StandardCharsets.UTF_8)));
                                closed.await();
                            } catch (final IOException | InterruptedException e) {
                                // The client is gone; its own error is what the test looks at.
                                Thread.currentThread().interrupt();
                            }
                        });
        return new ApiClient(socket, Duration.ofMillis(200));
    }

    private CommandError errorOf(final String bytes) throws IOException {
        final ApiClient client = daemonThatSays(bytes, new CountDownLatch(0));
        return catchThrowableOfType(CommandError.class, () -> client.get("/v1/status"));
    }

    @ParameterizedTest
    @CsvSource({"400, 2", "404, 1", "405, 1", "409, 1", "413, 1", "500, 3", "503, 3"})
    void aRefusalIsItsExitStatus(final int status, final int exitCode) throws IOException {
        final CommandError error =
                errorOf(
                        "HTTP/1.1 "
                                + status
                                + " X\r\nContent-Length: 15\r\n\r\n{\"error\":\"why\"}");

        assertThat(error.text()).isEqualTo("why");
        assertThat(error.exitCode()).isEqualTo(exitCode);
    }

    @Test
    void anInvalidManifestIsStatusOne() throws IOException {
        final ApiClient client =
                daemonThatSays(
                        "HTTP/1.1 400 X\r\nContent-Length: 15\r\n\r\n{\"error\":\"why\"}",
                        new CountDownLatch(0));

        final CommandError error =
                catchThrowableOfType(CommandError.class, () -> client.change(ApiJson.newObject()));

        assertThat(error.text()).isEqualTo("why");
        assertThat(error.exitCode()).isEqualTo(ExitCode.NO);
    }

    @Test
    void aRefusalIsHeardAlsoWhenTheBodyIsNotReadToItsEnd() throws IOException {
        final ApiClient client =
                daemonThatSays(
                        "HTTP/1.1 413 X\r\nContent-Length: 15\r\n\r\n{\"error\":\"why\"}",
                        new CountDownLatch(0));

        final CommandError error =
                catchThrowableOfType(
                        CommandError.class,
                        () ->
                                client.change(
                                        ApiJson.newObject()
                                                .put("text", "# comment\n".repeat(1 << 18))));

        assertThat(error.text()).isEqualTo("why");
        assertThat(error.exitCode()).isEqualTo(ExitCode.NO);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "Content-Length: 9~~[1,2] | 4 bytes before the end",
                "Transfer-Encoding: chunked~~5~[1,2] | in the middle of the answer",
                "Transfer-Encoding: chunked~~zz~ | \"zz\" is not a number",
                "X: y~~[1,2] | \"none\" is not a number",
                "Content-Length: 3~~[1, | not JSON",
                "Content-Length: 3 | in the middle of the answer",
            })
    void anAnswerThatIsNotWholeIsNotAnAnswer(final String rest, final String reason)
            throws IOException {
        final CommandError error = errorOf("HTTP/1.1 200 OK\r\n" + rest.replace("~", "\r\n"));

        assertThat(error.exitCode()).isEqualTo(ExitCode.UNREACHABLE);
        assertThat(error.text()).contains("api.sock: ").contains(reason);
    }

    @Test
    void aDaemonThatSaysNothingMoreEndsTheCommand() throws IOException {
        final CountDownLatch closed = new CountDownLatch(1);
        final ApiClient client =
                daemonThatSays("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n[", closed);

        final CommandError error =
                catchThrowableOfType(CommandError.class, () -> client.get("/v1/status"));

        assertThat(error.exitCode()).isEqualTo(ExitCode.UNREACHABLE);
        assertThat(error.text()).contains("nothing happened for");
        closed.countDown();
    }

    @Test
    void aFollowerWaitsLongerThanThat() throws IOException {
        final CountDownLatch closed = new CountDownLatch(1);
        final ApiClient client =
                daemonThatSays(
                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na\n\r\n",
                        closed);
        final List<String> lines = new ArrayList<>();
        // Three times the silence that any other answer may have.
        final Thread closer =
                Thread.ofVirtual()
                        .unstarted(
                                () -> {
                                    try {
                                        if (!closed.await(600, TimeUnit.MILLISECONDS)) {
                                            closed.countDown();
                                        }
                                    } catch (final InterruptedException e) {
                                        Thread.currentThread().interrupt();
                                    }
                                });
        closer.start();

        final CommandError error =
                catchThrowableOfType(
                        CommandError.class, () -> client.follow("/v1/flows", lines::add));

        assertThat(lines).containsExactly("a");
        assertThat(error.text()).contains("connection closed").doesNotContain("nothing happened");
    }
}
