/**
 * Flows over gRPC, as Hubble's clients ask for them: {@link
 * io.sluice.control.agent.hubble.HubbleServer} first. The only package that knows gRPC and
 * protobuf.
 */
@NullMarked
package io.sluice.control.agent.hubble;

import org.jspecify.annotations.NullMarked;
