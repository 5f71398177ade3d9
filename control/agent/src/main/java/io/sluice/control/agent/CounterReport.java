package io.sluice.control.agent;

import java.util.Map;

/**
 * One counter or gauge, as Prometheus names them.
 *
 * @param name {@code sluice_packets_in_total}
 * @param help one sentence
 * @param type whether it only grows
 * @param labels label names and values
 * @param value now
 */
public record CounterReport(
        String name, String help, Type type, Map<String, String> labels, double value) {
    /** How the value moves. */
    public enum Type {
        COUNTER,
        GAUGE,
        /**
         * A series of a histogram: its name ends in {@code _bucket}, {@code _sum} or {@code
         * _count}.
         */
        HISTOGRAM
    }
}
