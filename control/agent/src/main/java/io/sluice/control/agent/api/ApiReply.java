package io.sluice.control.agent.api;

import org.jspecify.annotations.Nullable;

/** What a route answers. Immutable. */
sealed interface ApiReply {
    /** A whole answer. */
    record Page(int status, String contentType, String body) implements ApiReply {}

    /** Text that comes piece by piece, until the source or the client ends it. */
    record Lines(LineSource source) implements ApiReply {}

    /** Thread: the request's own virtual thread; {@link #close} follows on the same thread. */
    interface LineSource extends AutoCloseable {
        /** Media type of all pieces together. */
        default String contentType() {
            return ApiRoutes.JSON_LINES;
        }

        /**
         * Text that is ready: whole lines, or a piece of a listing. May be empty when nothing came
         * within a short wait: the server uses the pause to notice that the client is gone.
         *
         * @return null at the end
         */
        @Nullable String next() throws InterruptedException;

        @Override
        void close();
    }
}
