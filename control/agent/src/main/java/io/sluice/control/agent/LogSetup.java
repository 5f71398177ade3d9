package io.sluice.control.agent;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.encoder.PatternLayoutEncoder;
import ch.qos.logback.classic.spi.Configurator;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.ConsoleAppender;
import ch.qos.logback.core.spi.ContextAwareBase;
import ch.qos.logback.core.status.NopStatusListener;
import org.slf4j.Logger;

/**
 * The log: one line per event on stderr, for a terminal as well as for systemd's journal.
 *
 * <p>Code in the place of a logback.xml, because the daemon's first line waits for it: reading XML
 * costs a start 30 ms of its main thread, and the parser's classes besides.
 *
 * <p>Thread: whoever asks for the first logger. Found by name in {@code META-INF/services}.
 */
public final class LogSetup extends ContextAwareBase implements Configurator {
    private static final String LINE = "%d{yyyy-MM-dd'T'HH:mm:ss.SSSXXX} %-5level %msg%n%ex";

    @Override
    public ExecutionStatus configure(final LoggerContext log) {
        log.getStatusManager().add(new NopStatusListener());
        final PatternLayoutEncoder encoder = new PatternLayoutEncoder();
        encoder.setContext(log);
        encoder.setPattern(LINE);
        encoder.start();
        final ConsoleAppender<ILoggingEvent> stderr = new ConsoleAppender<>();
        stderr.setContext(log);
        stderr.setName("stderr");
        stderr.setTarget("System.err");
        stderr.setEncoder(encoder);
        stderr.start();
        // The daemon sets the root's level from its configuration.
        final ch.qos.logback.classic.Logger root = log.getLogger(Logger.ROOT_LOGGER_NAME);
        root.setLevel(Level.INFO);
        root.addAppender(stderr);
        // Netty speaks up only when something is wrong.
        log.getLogger("io.netty").setLevel(Level.WARN);
        // The state folder says itself what it met, in words about its tables.
        log.getLogger("net.openhft").setLevel(Level.OFF);
        // The export says itself that a broker does not answer, once; Kafka's client says it at
        // every try.
        log.getLogger("org.apache.kafka").setLevel(Level.OFF);
        return ExecutionStatus.DO_NOT_INVOKE_NEXT_IF_ANY;
    }
}
