package io.sluice.control.agent;

import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * What tells an event from all others: a UUID, whose text is made when somebody reads it.
 *
 * @param high bits 127 to 64
 * @param low bits 63 to 0
 * @param other the text where it is no UUID, else null
 */
public record FlowId(long high, long low, @Nullable String other) {
    private static final int UUID_CHARACTERS = 36;

    /** A UUID. */
    public FlowId(final long high, final long low) {
        this(high, low, null);
    }

    /** What {@link #text} gave, or any other text. */
    public static FlowId of(final String text) {
        if (text.length() == UUID_CHARACTERS) {
            try {
                final UUID uuid = UUID.fromString(text);
                final FlowId id =
                        new FlowId(uuid.getMostSignificantBits(), uuid.getLeastSignificantBits());
                if (id.text().equals(text)) {
                    return id;
                }
            } catch (final IllegalArgumentException noUuid) {
                return new FlowId(0, 0, text);
            }
        }
        return new FlowId(0, 0, text);
    }

    /** As RFC 9562 section 4 writes it. */
    public String text() {
        return other != null ? other : new UUID(high, low).toString();
    }
}
