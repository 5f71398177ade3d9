package io.sluice.control.policy;

import java.lang.ref.WeakReference;
import java.util.WeakHashMap;

/**
 * One instance of each value, as long as somebody uses it.
 *
 * <p>Thread: one.
 */
final class Interned<T> {
    private final WeakHashMap<T, WeakReference<T>> known = new WeakHashMap<>();

    /** The instance that stands for a value: the one given first, or this one. */
    T intern(final T value) {
        final WeakReference<T> reference = known.get(value);
        final T before = reference == null ? null : reference.get();
        if (before != null) {
            return before;
        }
        known.put(value, new WeakReference<>(value));
        return value;
    }
}
