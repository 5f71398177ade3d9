package io.sluice.control.agent.api;

import org.jspecify.annotations.Nullable;

/** What a route answers. Immutable. */
sealed interface ApiReply {
    /** A whole answer. */
    record Page(int status, String contentType, String body) implements ApiReply {}

    /** JSON lines that come as they happen, until the source or the client ends them. */
    record Lines(LineSource source) implements ApiReply {}

    /** Thread: the request's own virtual thread; {@link #close} follows on the same thread. */
    interface LineSource extends AutoCloseable {
        /**
         * Lines that are ready, each with its line end. May be empty when nothing came within a
         * short wait: the server uses the pause to notice that the client is gone.
         *
         * @return null at the end
         */
        @Nullable String next() throws InterruptedException;

        @Override
        void close();
    }
}
