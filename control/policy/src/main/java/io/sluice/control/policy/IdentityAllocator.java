package io.sluice.control.policy;

import java.util.HashMap;
import java.util.Map;

/** Numbers of identities, stable over compiles. Thread: that of the compiler. */
public final class IdentityAllocator {
    private final Map<Object, Integer> numbers = new HashMap<>();

    int size() {
        return numbers.size();
    }
}
