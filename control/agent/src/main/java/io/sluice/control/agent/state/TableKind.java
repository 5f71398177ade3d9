package io.sluice.control.agent.state;

/**
 * The tables of the state folder and their limits.
 *
 * <p>A file is sparse: it has the size that the rows below take, and takes room on the disk for
 * those that are there. Rows longer than the average make it grow, up to {@link #BLOAT_MAX} times.
 */
enum TableKind {
    /** Labels and canonical facts of a pod with ten labels are 900 bytes, of a prefix 150. */
    IDENTITIES("identities", 65_536, 4, 600),
    /** A prefix with the name of an endpoint behind it, or without. */
    IPCACHE("ipcache", 1_000_000, 17, 18),
    /** A name of 24 bytes, an endpoint of 16, an address. */
    FQDN("fqdn", 100_000, 64, 17);

    /** Grown this many times over, a table is refused more: the disk is for other things, too. */
    static final double BLOAT_MAX = 5;

    private final String fileName;
    private final int rowsMax;
    private final int keyBytes;
    private final int valueBytes;

    TableKind(final String fileName, final int rowsMax, final int keyBytes, final int valueBytes) {
        this.fileName = fileName;
        this.rowsMax = rowsMax;
        this.keyBytes = keyBytes;
        this.valueBytes = valueBytes;
    }

    String fileName() {
        return fileName;
    }

    /** Rows at most. */
    int rowsMax() {
        return rowsMax;
    }

    /** Average length of a key. */
    int keyBytes() {
        return keyBytes;
    }

    /** Average length of a value. */
    int valueBytes() {
        return valueBytes;
    }
}
