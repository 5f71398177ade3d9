/**
 * The only place that knows byte offsets: headers, checksums, and the answers the switch composes.
 *
 * <p>A header class has static methods over {@code (frame, offset)} and no state. {@code check}
 * comes first and its doc says what is safe afterwards; accessors do not check again, beyond the
 * bounds of the segment itself. Order in every file: offsets, check, getters, setters. Names of
 * offsets: {@code vnet} is where the virtio-net header starts, {@code ethernet} follows it by 10
 * bytes, {@code l3} and {@code l4} are where IP and upper header start.
 *
 * <p>Packet path: nothing is allocated, except by {@link io.sluice.dataplane.wire.IpAddress} and
 * {@link io.sluice.dataplane.wire.MacAddress}, which are for text.
 */
@NullMarked
package io.sluice.dataplane.wire;

import org.jspecify.annotations.NullMarked;
