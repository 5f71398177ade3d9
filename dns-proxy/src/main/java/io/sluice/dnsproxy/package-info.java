/**
 * The DNS proxy's engine, without packets. {@link io.sluice.dnsproxy.DnsExchange}, the life of a
 * query, is the file to read first.
 */
@NullMarked
package io.sluice.dnsproxy;

import org.jspecify.annotations.NullMarked;
