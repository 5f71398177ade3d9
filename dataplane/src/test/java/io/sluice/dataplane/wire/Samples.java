package io.sluice.dataplane.wire;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HexFormat;
import java.util.List;

/**
 * Frames composed by another program (scapy), checksums included: Ethernet header first, from
 * 02:00:00:00:00:05 to the switch at 02:53:4c:00:00:01 or back.
 */
final class Samples {
    static final long SWITCH_MAC = 0x0253_4c00_0001L;
    static final long POD_MAC = 0x0200_0000_0005L;

    /** 10.0.0.5 asks for 169.254.1.1. */
    static final String ARP_REQUEST =
            "ffffffffffff 020000000005 0806"
                    + "00010800060400010200000000050a000005000000000000a9fe0101";

    /** 10.0.0.5:40000 to 10.0.0.9:53, id 0x1234, "hello". */
    static final String UDP4 =
            "02534c000001 020000000005 0800"
                    + "45000021123400004011548b0a0000050a0000099c400035000d0b7f68656c6c"
                    + "6f";

    /** 10.0.0.5:40000 to 10.0.0.9:443, don't fragment, 20 bytes of TCP options. */
    static final String TCP4_SYN =
            "02534c000001 020000000005 0800"
                    + "4500003c00074000400626a80a0000050a0000099c4001bb0102030400000000"
                    + "a002faf096ff0000020405b40402080a000000010000000001030307";

    /** Echo request to 169.254.1.1, id 0x4d2, sequence 3, seven data bytes. */
    static final String ICMP4_ECHO =
            "02534c000001 020000000005 0800"
                    + "4500002300014000400185d50a000005a9fe0101080061fd04d2000361626364"
                    + "656667";

    /** Fragmentation needed, MTU 1400, quoting UDP 10.0.0.9:53 to 10.0.0.5:40000. */
    static final String ICMP4_UNREACHABLE =
            "02534c000001 020000000005 0800"
                    + "4500003e00020000400166b00a0000050a00000903040bb10000057845000022"
                    + "00094000401126b50a0000090a00000500359c40000e14f7616e73776572";

    /** Record route (not copied), router alert (copied), end of options; 200 data bytes. */
    static final String UDP4_OPTIONS =
            "02534c000001 020000000005 0800"
                    + "480000f000030000401153520a0000050a000009070704000000009404000000"
                    + "0001000200d0db2e"
                    + "78".repeat(200);

    /** Ports 5 and 6, 72 payload bytes, more to come. */
    static final String UDP4_FIRST_FRAGMENT =
            "02534c000001 020000000005 0800"
                    + "4500005c00042000401146800a0000050a0000090005000607d8abcd79797979"
                    + "7979797979797979797979797979797979797979797979797979797979797979"
                    + "79797979797979797979797979797979797979797979797979797979";

    /** 13 payload bytes at offset 72. */
    static final String UDP4_LAST_FRAGMENT =
            "02534c000001 020000000005 0800"
                    + "4500002100040009401166b20a0000050a0000097a7a7a7a7a7a7a7a7a7a7a7a"
                    + "7a";

    /** INIT from port 40000 to port 2000. */
    static final String SCTP4 =
            "02534c000001 020000000005 0800"
                    + "4500003400050000408466340a0000050a0000099c4007d000000000aabbccdd"
                    + "0100001400000001000010000a000a0000000000";

    /** [fd00::5]:40000 to [fd00::9]:443, PSH and ACK, "GET". */
    static final String TCP6 =
            "02534c000001 020000000005 86dd"
                    + "6000000000170640fd000000000000000000000000000005fd00000000000000"
                    + "00000000000000099c4001bb0000000100000002501820005c760000474554";

    /** Hop-by-hop and destination options before UDP 546 to 547. */
    static final String UDP6_EXTENSIONS =
            "02534c000001 020000000005 86dd"
                    + "6000000000220040fd000000000000000000000000000005fd00000000000000"
                    + "00000000000000093c000502000001001101010c000000000000000000000000"
                    + "02220223000a991c6869";

    /** Ports 5 and 6, id 0xcafe, 72 payload bytes, more to come. */
    static final String UDP6_FIRST_FRAGMENT =
            "02534c000001 020000000005 86dd"
                    + "6000000000502c40fd000000000000000000000000000005fd00000000000000"
                    + "0000000000000009110000010000cafe0005000607d8abcd7979797979797979"
                    + "7979797979797979797979797979797979797979797979797979797979797979"
                    + "797979797979797979797979797979797979797979797979";

    /** 13 payload bytes at offset 72. */
    static final String UDP6_LAST_FRAGMENT =
            "02534c000001 020000000005 86dd"
                    + "6000000000152c40fd000000000000000000000000000005fd00000000000000"
                    + "0000000000000009110000480000cafe7a7a7a7a7a7a7a7a7a7a7a7a7a";

    /** Echo request to fe80::1, id 0x4d2, sequence 3, seven data bytes. */
    static final String ICMP6_ECHO =
            "02534c000001 020000000005 86dd"
                    + "60000000000f3a40fd000000000000000000000000000005fe80000000000000"
                    + "00000000000000018000ee2b04d2000361626364656667";

    /** Packet too big, MTU 1400, quoting UDP [fd00::9]:53 to [fd00::5]:40000. */
    static final String ICMP6_TOO_BIG =
            "02534c000001 020000000005 86dd"
                    + "60000000003e3a40fd000000000000000000000000000005fd00000000000000"
                    + "000000000000000902008cd00000057860000000000e1140fd00000000000000"
                    + "0000000000000009fd00000000000000000000000000000500359c40000e2ef5"
                    + "616e73776572";

    /** fd00::5 asks for fe80::1, with its link address. */
    static final String SOLICITATION =
            "3333ff000001 020000000005 86dd"
                    + "6000000000203afffd000000000000000000000000000005ff02000000000000"
                    + "00000001ff00000187007c1100000000fe800000000000000000000000000001"
                    + "0101020000000005";

    /** Somebody without an address asks whether fe80::1 is taken. */
    static final String DUPLICATE_PROBE =
            "3333ff000001 020000000005 86dd"
                    + "6000000000183aff00000000000000000000000000000000ff02000000000000"
                    + "00000001ff00000187007c2500000000fe800000000000000000000000000001";

    /** Answer to {@link #ARP_REQUEST}. */
    static final String ARP_REPLY =
            "020000000005 02534c000001 0806"
                    + "000108000604000202534c000001a9fe01010200000000050a000005";

    /** Answer to {@link #ICMP4_ECHO}. */
    static final String ICMP4_ECHO_REPLY =
            "020000000005 02534c000001 0800"
                    + "4500002300014000400185d5a9fe01010a000005000069fd04d2000361626364"
                    + "656667";

    /** Answer to {@link #ICMP6_ECHO}. */
    static final String ICMP6_ECHO_REPLY =
            "020000000005 02534c000001 86dd"
                    + "60000000000f3a40fe800000000000000000000000000001fd00000000000000"
                    + "00000000000000058100ed2b04d2000361626364656667";

    /** Answer to {@link #SOLICITATION}. */
    static final String ADVERTISEMENT =
            "020000000005 02534c000001 86dd"
                    + "6000000000203afffe800000000000000000000000000001fd00000000000000"
                    + "000000000000000588004d45e0000000fe800000000000000000000000000001"
                    + "020102534c000001";

    /** Answer to {@link #DUPLICATE_PROBE}. */
    static final String ADVERTISEMENT_TO_ALL =
            "333300000001 02534c000001 86dd"
                    + "6000000000203afffe800000000000000000000000000001ff02000000000000"
                    + "000000000000000188008b47a0000000fe800000000000000000000000000001"
                    + "020102534c000001";

    /** About {@link #UDP4}. */
    static final String TTL_EXCEEDED4 =
            "020000000005 02534c000001 0800"
                    + "45c0003d00004000400184fca9fe01010a0000050b00092c0000000045000021"
                    + "123400004011548b0a0000050a0000099c400035000d0b7f68656c6c6f";

    /** About {@link #UDP4}, MTU 1400. */
    static final String FRAGMENTATION_NEEDED4 =
            "020000000005 02534c000001 0800"
                    + "45c0003d00004000400184fca9fe01010a00000503040bb00000057845000021"
                    + "123400004011548b0a0000050a0000099c400035000d0b7f68656c6c6f";

    /** About {@link #UDP4}. */
    static final String PROHIBITED4 =
            "020000000005 02534c000001 0800"
                    + "45c0003d00004000400184fca9fe01010a000005030d111f0000000045000021"
                    + "123400004011548b0a0000050a0000099c400035000d0b7f68656c6c6f";

    /** About {@link #TCP6}. */
    static final String HOP_LIMIT_EXCEEDED6 =
            "020000000005 02534c000001 86dd"
                    + "6000000000473a40fe800000000000000000000000000001fd00000000000000"
                    + "000000000000000503009abc000000006000000000170640fd00000000000000"
                    + "0000000000000005fd0000000000000000000000000000099c4001bb00000001"
                    + "00000002501820005c760000474554";

    /** About {@link #TCP6}, MTU 1400. */
    static final String TOO_BIG6 =
            "020000000005 02534c000001 86dd"
                    + "6000000000473a40fe800000000000000000000000000001fd00000000000000"
                    + "000000000000000502009644000005786000000000170640fd00000000000000"
                    + "0000000000000005fd0000000000000000000000000000099c4001bb00000001"
                    + "00000002501820005c760000474554";

    /** About {@link #TCP6}. */
    static final String PROHIBITED6 =
            "020000000005 02534c000001 86dd"
                    + "6000000000473a40fe800000000000000000000000000001fd00000000000000"
                    + "000000000000000501019cbb000000006000000000170640fd00000000000000"
                    + "0000000000000005fd0000000000000000000000000000099c4001bb00000001"
                    + "00000002501820005c760000474554";

    /** Every sample. */
    static final List<String> ALL =
            List.of(
                    ARP_REQUEST,
                    UDP4,
                    TCP4_SYN,
                    ICMP4_ECHO,
                    ICMP4_UNREACHABLE,
                    UDP4_OPTIONS,
                    UDP4_FIRST_FRAGMENT,
                    UDP4_LAST_FRAGMENT,
                    SCTP4,
                    TCP6,
                    UDP6_EXTENSIONS,
                    UDP6_FIRST_FRAGMENT,
                    UDP6_LAST_FRAGMENT,
                    ICMP6_ECHO,
                    ICMP6_TOO_BIG,
                    SOLICITATION,
                    DUPLICATE_PROBE,
                    ARP_REPLY,
                    ICMP4_ECHO_REPLY,
                    ICMP6_ECHO_REPLY,
                    ADVERTISEMENT,
                    ADVERTISEMENT_TO_ALL,
                    TTL_EXCEEDED4,
                    FRAGMENTATION_NEEDED4,
                    PROHIBITED4,
                    HOP_LIMIT_EXCEEDED6,
                    TOO_BIG6,
                    PROHIBITED6);

    private Samples() {}

    /** The frame in memory of exactly its size, behind a cleared virtio-net header. */
    static MemorySegment frame(final String hex) {
        return frame(hex, 0);
    }

    /** The same with room behind it. */
    static MemorySegment frame(final String hex, final int roomBytes) {
        final byte[] ethernet = bytes(hex);
        final byte[] frame = new byte[VnetHeader.BYTES + ethernet.length + roomBytes];
        System.arraycopy(ethernet, 0, frame, VnetHeader.BYTES, ethernet.length);
        return MemorySegment.ofArray(frame);
    }

    static byte[] bytes(final String hex) {
        return HexFormat.of().parseHex(hex.replace(" ", ""));
    }

    /** What follows the virtio-net header, as written in a sample. */
    static String hex(final MemorySegment frame, final int frameBytes) {
        final byte[] bytes =
                frame.asSlice(VnetHeader.BYTES, frameBytes - VnetHeader.BYTES)
                        .toArray(ValueLayout.JAVA_BYTE);
        return HexFormat.of().formatHex(bytes);
    }

    static String hex(final String sample) {
        return sample.replace(" ", "");
    }
}
