package io.sluice.control.agent;

import io.sluice.dataplane.linux.LinuxException;
import io.sluice.dataplane.linux.ProcessPriority;
import io.sluice.dataplane.linux.ProcessorAffinity;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Who of this process and others gets the processors, and which. A share that the kernel refuses is
 * logged and changes nothing else.
 *
 * <p>Thread: any.
 */
final class ProcessorShare {
    private static final Logger LOG = LoggerFactory.getLogger(ProcessorShare.class);

    /** Numbers of processors are below this. */
    static final int PROCESSORS_MAX = ProcessorAffinity.PROCESSORS_MAX;

    /** Nice value of a process that prepares to take over: a tenth of an ordinary share. */
    private static final int STANDING_BACK = 10;

    /**
     * Nice value of who tells of packets. On a processor that is shared with a busy lane (nice -10)
     * it gets 110 of 9,658 parts of the time (sched_prio_to_weight in kernel/sched/core.c); with an
     * ordinary share it would get a tenth, which the lane would forward less.
     */
    private static final int TELLING = 10;

    /** The kernel's largest nice value: a seventieth of an ordinary share. */
    private static final int LAST = 19;

    private ProcessorShare() {}

    /**
     * The calling thread runs on this processor alone.
     *
     * @throws IllegalArgumentException where it may not; the message says why
     */
    static void pin(final int processor) {
        try {
            ProcessorAffinity.pinThread(processor);
        } catch (final LinuxException e) {
            throw new IllegalArgumentException(e.getMessage(), e);
        }
    }

    /** The calling thread, a lane's or one that a lane waits for, gets this nice value. */
    static void ofLane(final int nice) {
        attempt(() -> ProcessPriority.niceThread(nice));
    }

    /** The calling thread tells of what the lane decided, after the lane has had its share. */
    static void ofEvents() {
        attempt(() -> ProcessPriority.niceThread(TELLING));
    }

    /**
     * The calling thread gets what others leave: those who only remember never hold up a packet.
     */
    static void ofHistory() {
        attempt(() -> ProcessPriority.niceThread(LAST));
    }

    /** The calling thread gets an ordinary share again. */
    static void ordinary() {
        attempt(() -> ProcessPriority.niceThread(0));
    }

    /** This process lets others go first: somebody else forwards for now. */
    static void standBack() {
        attempt(() -> ProcessPriority.renice(0, STANDING_BACK));
    }

    /** This process no longer stands back. */
    static void comeForward() {
        attempt(() -> ProcessPriority.renice(STANDING_BACK, 0));
    }

    private static void attempt(final Runnable change) {
        try {
            change.run();
        } catch (final LinuxException e) {
            LOG.warn("the share of the processors stays as it is: {}", e.getMessage());
        }
    }
}
