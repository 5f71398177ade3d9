package io.sluice.control.agent.api;

/** Which request gets which answer. Thread: any; may take its time. */
@FunctionalInterface
interface Routes {
    ApiReply answer(ApiRequest request);
}
