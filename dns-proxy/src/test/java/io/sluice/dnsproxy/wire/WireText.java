package io.sluice.dnsproxy.wire;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.io.ByteArrayOutputStream;
import java.util.HexFormat;

/**
 * Messages as people write them, for the table of hostile ones. Items are separated by blanks: hex
 * digits are octets; {@code "text"} is a label with its length before it; {@code N*ITEM} repeats.
 */
final class WireText {
    private WireText() {}

    static byte[] octets(final String text) {
        final ByteArrayOutputStream octets = new ByteArrayOutputStream();
        for (final String item : text.trim().split("\\s+", -1)) {
            final int star = item.indexOf('*');
            final int count = star < 0 ? 1 : Integer.parseInt(item.substring(0, star));
            final byte[] once = item(item.substring(star + 1));
            for (int i = 0; i < count; i++) {
                octets.writeBytes(once);
            }
        }
        return octets.toByteArray();
    }

    private static byte[] item(final String item) {
        if (!item.startsWith("\"")) {
            return HexFormat.of().parseHex(item);
        }
        final byte[] label = item.substring(1, item.length() - 1).getBytes(US_ASCII);
        final byte[] octets = new byte[label.length + 1];
        octets[0] = (byte) label.length;
        System.arraycopy(label, 0, octets, 1, label.length);
        return octets;
    }
}
