package io.sluice.dataplane.table;

import java.util.Arrays;

/** A stack of longs that grows. Thread: one. */
final class LongStack {
    private long[] values = new long[16];
    private int size;

    void push(final long value) {
        if (size == values.length) {
            values = Arrays.copyOf(values, size * 2);
        }
        values[size++] = value;
    }

    long pop() {
        return values[--size];
    }

    boolean isEmpty() {
        return size == 0;
    }

    int size() {
        return size;
    }
}
