package io.sluice.l7proxy;

import io.netty.buffer.ByteBuf;

/**
 * What a protocol does with one connection. All calls come on the connection's event loop, none
 * from inside a call to {@link Link}, and none after {@link #onClosed}.
 */
public interface Conversation {
    /** The client sent this; whoever gets it releases it. */
    void onClientBytes(ByteBuf bytes);

    /** The server sent this; whoever gets it releases it. */
    void onServerBytes(ByteBuf bytes);

    /** The client sends nothing more (FIN). It may still read. */
    void onClientEnd();

    /** The server sends nothing more (FIN). It may still read. */
    void onServerEnd();

    /** The server refused, or did not answer in time. What was sent to it is lost. */
    void onConnectFailed();

    /** The time set by {@link Link#setDeadline} has come. */
    void onDeadline();

    /** The client has read what was sent to it, see {@link Link#isClientFull}. */
    void onClientDrained();

    /** The end, however it came: release what is held. Called once. */
    void onClosed();
}
