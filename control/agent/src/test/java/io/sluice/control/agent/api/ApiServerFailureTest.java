package io.sluice.control.agent.api;

import static org.assertj.core.api.Assertions.assertThat;

import io.sluice.control.agent.ControlPlane;
import java.lang.reflect.Proxy;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

class ApiServerFailureTest {
    private static final String REQUEST = "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n";

    @TempDir private Path folder;

    @Test
    @Timeout(20)
    void aConnectionWhoseAnswerFailsIsClosedAndNotLeftWaiting() throws Exception {
        final Path socket = folder.resolve("api.sock");
        final ControlPlane failing =
                (ControlPlane)
                        Proxy.newProxyInstance(
                                ControlPlane.class.getClassLoader(),
                                new Class<?>[] {ControlPlane.class},
                                (proxy, method, arguments) -> {
                                    throw new StackOverflowError("for this test");
                                });
        try (ApiServer _ = ApiServer.start(socket, Optional.empty(), failing);
                SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            channel.connect(UnixDomainSocketAddress.of(socket));
            channel.write(ByteBuffer.wrap(REQUEST.getBytes(StandardCharsets.UTF_8)));

            assertThat(Channels.newInputStream(channel).readAllBytes()).isEmpty();
        }
    }
}
