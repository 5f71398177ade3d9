package io.sluice.dataplane.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.dataplane.linux.XdpQueues.Mode;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What a kernel or a process that lacks something says. */
@Tag("netns")
final class XdpQueuesNetnsTest {
    @Test
    void processWithoutPrivilegesIsToldWhatItLacks() {
        assertThat(Unprivileged.run(() -> XdpQueues.open("lo", 1, 1518, Mode.AUTO, 0)))
                .isInstanceOf(LinuxException.class)
                .hasMessage(
                        "open an AF_XDP socket: EPERM (operation not permitted): run as root or with"
                                + " CAP_NET_RAW");
    }

    @Test
    void deviceThatIsNotThereIsNamed() {
        assertThatThrownBy(() -> XdpQueues.open("slx-nowhere", 1, 1518, Mode.AUTO, 0))
                .isInstanceOf(LinuxException.class)
                .hasMessage("AF_XDP on slx-nowhere: find the device: ENODEV (no such device)");
    }
}
