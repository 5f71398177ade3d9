package io.sluice.dataplane;

/**
 * The switch as its endpoints see it: the next hop of every route, and the sender of ICMP errors.
 *
 * @param mac on every port, in the low 48 bits
 * @param ipv4 address, e.g. 169.254.1.1
 * @param ipv6High high half of the IPv6 address, e.g. fe80::
 * @param ipv6Low low half of the IPv6 address, e.g. ::1
 */
public record Gateway(long mac, int ipv4, long ipv6High, long ipv6Low) {
    /** 02:53:4c:00:00:01 (locally administered), 169.254.1.1, fe80::1. */
    public static final Gateway DEFAULT =
            new Gateway(0x0253_4c00_0001L, 0xa9fe_0101, 0xfe80_0000_0000_0000L, 1L);
}
