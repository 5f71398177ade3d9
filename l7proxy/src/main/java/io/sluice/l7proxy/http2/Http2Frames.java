package io.sluice.l7proxy.http2;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.http2.Http2Error;
import io.netty.handler.codec.http2.Http2Flags;
import io.netty.handler.codec.http2.Http2FrameAdapter;
import io.netty.handler.codec.http2.Http2Headers;
import io.netty.handler.codec.http2.Http2Settings;

/** Who hears of the frames of one leg, and of what is wrong with them. */
abstract class Http2Frames extends Http2FrameAdapter {
    abstract void onHead(int id, Http2Head head, boolean isEnd);

    /**
     * Data.
     *
     * @param data valid during the call
     * @param padding bytes of the frame beside it, which count for windows
     */
    abstract void onData(int id, ByteBuf data, int padding, boolean isEnd);

    abstract void onReset(int id, long code);

    abstract void onSettings(Http2Settings settings);

    abstract void onPing(long data);

    /**
     * A window.
     *
     * @param id 0 for the connection's
     */
    abstract void onWindowUpdate(int id, int more);

    abstract void onGoAway(int last, long code);

    /**
     * A frame that changes nothing.
     *
     * @param id of its stream if that has begun, else it is a fault; 0 if it does not matter
     */
    abstract void onIdle(int id);

    /** The connection cannot go on. */
    abstract void onConnectionFault(Http2Fault fault, Http2Error error, String detail);

    /** A stream cannot go on. Its number may be one that has not been heard of. */
    abstract void onStreamFault(int id, Http2Fault fault, Http2Error error, String detail);

    // Netty's calls.

    @Override
    public final int onDataRead(
            final ChannelHandlerContext context,
            final int id,
            final ByteBuf data,
            final int padding,
            final boolean isEnd) {
        onData(id, data, padding, isEnd);
        return 0;
    }

    @Override
    public final void onHeadersRead(
            final ChannelHandlerContext context,
            final int id,
            final Http2Headers headers,
            final int padding,
            final boolean isEnd) {
        onHead(id, (Http2Head) headers, isEnd);
    }

    @Override
    public final void onHeadersRead(
            final ChannelHandlerContext context,
            final int id,
            final Http2Headers headers,
            final int dependency,
            final short weight,
            final boolean isExclusive,
            final int padding,
            final boolean isEnd) {
        onHead(id, (Http2Head) headers, isEnd);
    }

    @Override
    public final void onRstStreamRead(
            final ChannelHandlerContext context, final int id, final long code) {
        onReset(id, code);
    }

    @Override
    public final void onSettingsRead(
            final ChannelHandlerContext context, final Http2Settings settings) {
        onSettings(settings);
    }

    @Override
    public final void onPingRead(final ChannelHandlerContext context, final long data) {
        onPing(data);
    }

    @Override
    public final void onWindowUpdateRead(
            final ChannelHandlerContext context, final int id, final int more) {
        onWindowUpdate(id, more);
    }

    @Override
    public final void onGoAwayRead(
            final ChannelHandlerContext context,
            final int last,
            final long code,
            final ByteBuf debug) {
        onGoAway(last, code);
    }

    /** Priorities are not passed on, and may be sent for any stream. */
    @Override
    public final void onPriorityRead(
            final ChannelHandlerContext context,
            final int id,
            final int dependency,
            final short weight,
            final boolean isExclusive) {
        onIdle(0);
    }

    /** Extensions: RFC 9113, 5.5 has them ignored. */
    @Override
    public final void onUnknownFrame(
            final ChannelHandlerContext context,
            final byte type,
            final int id,
            final Http2Flags flags,
            final ByteBuf payload) {
        onIdle(0);
    }

    /** Clients must not, and servers are told not to: RFC 9113, 6.6. */
    @Override
    public final void onPushPromiseRead(
            final ChannelHandlerContext context,
            final int id,
            final int promisedId,
            final Http2Headers headers,
            final int padding) {
        onConnectionFault(Http2Fault.PUSH, Http2Fault.PUSH.error(), Http2Fault.PUSH.meaning());
    }
}
