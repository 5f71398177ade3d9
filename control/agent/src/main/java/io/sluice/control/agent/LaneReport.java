package io.sluice.control.agent;

/**
 * A thread that forwards.
 *
 * @param number from 0
 * @param idle what it does when there is nothing to do: {@code busy}, {@code adaptive}, {@code
 *     sleepy}
 * @param cpu number of the processor it is pinned to; empty for any
 * @param packetsIn packets that it received, since start
 */
public record LaneReport(int number, String idle, String cpu, long packetsIn) {}
