package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.control.agent.PortFactory.AttachException;
import io.sluice.control.policy.IpAddress;
import java.util.List;
import org.junit.jupiter.api.Test;

class ProcessStartTest {
    private static final long OWN = ProcessHandle.current().pid();

    @Test
    void aProcessHasOneStartAndAnotherProcessAnother() throws Exception {
        final String own = ProcessStart.of(OWN).orElseThrow();

        assertThat(ProcessStart.isValid(own)).isTrue();
        assertThat(ProcessStart.of(OWN)).contains(own);
        final Process child = new ProcessBuilder("cat").start();
        try {
            assertThat(ProcessStart.of(child.pid()).orElseThrow()).isNotEqualTo(own);
        } finally {
            child.destroyForcibly().waitFor();
        }
        assertThat(ProcessStart.of(child.pid())).isEmpty();
    }

    @Test
    void anEndpointIsNotPluggedIntoAnotherProcessThatHasItsNumberNow() {
        final String own = ProcessStart.of(OWN).orElseThrow();

        assertThatCode(() -> TapPorts.resolve(spec(own))).doesNotThrowAnyException();
        assertThatCode(() -> TapPorts.resolve(spec(""))).doesNotThrowAnyException();
        assertThatThrownBy(() -> TapPorts.resolve(spec(own + "1")))
                .isInstanceOfSatisfying(
                        AttachException.class,
                        e ->
                                assertThat(e.missing())
                                        .isEqualTo(AttachException.Cause.NAMESPACE_MISSING))
                .hasMessageContaining("another one has its number");
    }

    private static EndpointSpec spec(final String start) {
        return new EndpointSpec(
                "shop",
                "a",
                "pid:" + OWN,
                start,
                "eth0",
                1500,
                List.of(IpAddress.parse("10.0.0.1").orElseThrow()),
                EndpointSpec.PortKind.TAP);
    }
}
