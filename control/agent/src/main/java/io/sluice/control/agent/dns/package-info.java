/** What the DNS agent has of Netty: connections through the L7 proxy, and the switch's resolver. */
@NullMarked
package io.sluice.control.agent.dns;

import org.jspecify.annotations.NullMarked;
