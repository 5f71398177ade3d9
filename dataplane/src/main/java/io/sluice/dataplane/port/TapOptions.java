package io.sluice.dataplane.port;

import io.sluice.dataplane.linux.NetworkNamespace;
import io.sluice.dataplane.linux.Tun;
import java.util.HexFormat;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What a {@link TapPort} is to be.
 *
 * <p>Thread: any; immutable.
 *
 * @param device name of the device in its namespace, 1 to 15 characters
 * @param namespace where the device appears; null for the namespace of this process
 * @param macAddress of the device, in the low 48 bits, first byte highest; unicast and not 0
 * @param mtu largest IP packet in bytes, 68 to 65521
 * @param lifetime what becomes of the device when its port is closed
 */
public record TapOptions(
        String device,
        @Nullable NetworkNamespace namespace,
        long macAddress,
        int mtu,
        Lifetime lifetime) {

    /** What becomes of the device without an open port. */
    public enum Lifetime {
        /** It ends with the port or the process. */
        PORT,

        /**
         * It stays, without carrier, until its namespace ends or {@link TapPort#release} removes
         * it, and can be opened again: a crash of the switch does not take devices out of pods.
         */
        NAMESPACE
    }

    /** As the kernel checks names (dev_valid_name), and no character that ip(8) would misread. */
    private static final Pattern DEVICE_NAME = Pattern.compile("[A-Za-z0-9_.@-]{1,15}");

    private static final long MULTICAST_BIT = 0x0100_0000_0000L;

    public TapOptions {
        if (!DEVICE_NAME.matcher(device).matches()
                || device.equals(".")
                || device.equals("..")
                || device.startsWith("-")) {
            throw new IllegalArgumentException(
                    "device '"
                            + device
                            + "': a device name has 1 to 15 letters, digits, '_', '.', '@' or '-'");
        }
        if (macAddress <= 0 || macAddress >>> 48 != 0 || (macAddress & MULTICAST_BIT) != 0) {
            throw new IllegalArgumentException(
                    "device "
                            + device
                            + ": MAC address 0x"
                            + Long.toHexString(macAddress)
                            + " is not a unicast address of 48 bits");
        }
        if (mtu < Tun.MTU_MIN || mtu > Tun.MTU_MAX) {
            throw new IllegalArgumentException(
                    "device "
                            + device
                            + ": mtu "
                            + mtu
                            + " is out of range, "
                            + Tun.MTU_MIN
                            + " to "
                            + Tun.MTU_MAX);
        }
    }

    /** The MAC address as people write it: {@code 02:53:4c:00:00:01}. */
    String macText() {
        final byte[] bytes = new byte[6];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) (macAddress >>> (40 - 8 * i));
        }
        return HexFormat.ofDelimiter(":").formatHex(bytes);
    }
}
