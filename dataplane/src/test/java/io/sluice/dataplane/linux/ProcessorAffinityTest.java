package io.sluice.dataplane.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Test;

class ProcessorAffinityTest {
    @Test
    void aPinnedThreadRunsOnItsProcessorAlone() throws Exception {
        final String allowed = allowedProcessors();
        final int last =
                Integer.parseInt(
                        allowed.substring(allowed.lastIndexOf(',') + 1).replaceAll(".*-", ""));

        final String pinned =
                inThread(
                        () -> {
                            ProcessorAffinity.pinThread(last);
                            return allowedProcessors();
                        });

        assertThat(pinned).isEqualTo(Integer.toString(last));
        assertThat(allowedProcessors()).isEqualTo(allowed);
    }

    @Test
    void aProcessorThatIsNotThereIsNamedBesideThoseThatAre() throws Exception {
        final int missing = ProcessorAffinity.PROCESSORS_MAX - 1;
        final String online = Files.readString(Path.of("/sys/devices/system/cpu/online")).strip();

        assertThatThrownBy(
                        () ->
                                inThread(
                                        () -> {
                                            ProcessorAffinity.pinThread(missing);
                                            return "";
                                        }))
                .cause()
                .isInstanceOf(LinuxException.class)
                .hasMessageStartingWith("run on processor " + missing + ": EINVAL")
                .hasMessageContaining("processors of this machine: " + online + ";");
    }

    @Test
    void aNumberThatIsNoProcessorsIsRefused() {
        assertThatThrownBy(() -> ProcessorAffinity.pinThread(-1))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> ProcessorAffinity.pinThread(ProcessorAffinity.PROCESSORS_MAX))
                .isInstanceOf(IllegalArgumentException.class);
    }

    /** Those of the calling thread, as the kernel prints them: {@code 0-3,6}. */
    private static String allowedProcessors() throws IOException {
        return Files.readAllLines(Path.of("/proc/thread-self/status")).stream()
                .filter(line -> line.startsWith("Cpus_allowed_list:"))
                .map(line -> line.substring(line.indexOf(':') + 1).strip())
                .findFirst()
                .orElseThrow();
    }

    private static String inThread(final Callable<String> action) throws Exception {
        final FutureTask<String> task = new FutureTask<>(action);
        Thread.ofPlatform().start(task);
        return task.get();
    }
}
