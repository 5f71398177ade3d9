package io.sluice.dataplane.wire;

/**
 * Why bytes are not the header they claim to be.
 *
 * <p>Answer of every {@code check} in this package. Immutable; any thread.
 */
public enum WireFault {
    NONE("the header is well formed"),
    TRUNCATED("the header reaches past the end of the packet"),
    BAD_VERSION("the version field does not match the EtherType"),
    BAD_HEADER_LENGTH("the header length field is below its minimum"),
    BAD_TOTAL_LENGTH("the length field is below its header or past the end of the frame"),
    BAD_CHECKSUM("the checksum does not match"),
    BAD_CHECKSUM_START("the virtio-net header places the checksum outside the frame"),
    BAD_FRAGMENT("the fragment cannot be part of a valid packet"),
    SOURCE_ROUTE("the packet names further hops of its own"),
    MAPPED_ADDRESS("an IPv6 header carries an IPv4-mapped address"),
    JUMBO_PAYLOAD("IPv6 jumbograms are not supported"),
    BAD_EXTENSION("an IPv6 extension header is out of place or repeated"),
    TOO_MANY_EXTENSIONS("the IPv6 extension header chain is too long"),
    BAD_ARP("the ARP packet is not for IPv4 over Ethernet, or its addresses are not unicast"),
    BAD_HOP_LIMIT("a neighbour discovery message came through a router"),
    BAD_NEIGHBOR_SOLICITATION("the neighbour solicitation breaks RFC 4861 section 7.1.1");

    private final String sentence;

    WireFault(final String sentence) {
        this.sentence = sentence;
    }

    /** What is wrong, for people; without a full stop. */
    public String sentence() {
        return sentence;
    }
}
