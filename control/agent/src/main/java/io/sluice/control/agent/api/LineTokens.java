package io.sluice.control.agent.api;

import java.io.IOException;

/**
 * The values of one JSON text, in their order: what {@link FlowJsonReader} asks of a parser.
 *
 * <p>There is always a value at hand: the text's own at first, then that of the field or element
 * that was stepped to. Each is read, entered or passed over once before the next step. An object or
 * array where a text, a number or a truth value is asked for is a fault of the text, as is an
 * element of another kind than is asked for: {@link IOException}.
 *
 * <p>Thread: one.
 */
sealed interface LineTokens permits PlainTokens, JacksonTokens {
    /** Whether the value at hand is an object. */
    boolean isObject();

    /** Steps into the object at hand; passes over what is none and says so. */
    boolean enterObject() throws IOException;

    /** Steps to the value of the next field; false, and out of the object, after the last. */
    boolean nextField() throws IOException;

    /** Name of the field stepped to. */
    String field();

    /** Steps into the array at hand; passes over what is none and says so. */
    boolean enterArray() throws IOException;

    /**
     * Steps to the next element, which must be a text; false, and out of the array, after the last.
     */
    boolean nextText() throws IOException;

    /** Steps into the next element, which must be an object; false after the last. */
    boolean nextObject() throws IOException;

    /** The text at hand; empty for what is none. */
    String text() throws IOException;

    /** The number at hand, also where it is written as a text; 0 for what is none. */
    int number() throws IOException;

    /** The same of 64 bits: protojson writes those as texts. */
    long count() throws IOException;

    /** Whether the value at hand is {@code true}. */
    boolean isTrue() throws IOException;

    /** Passes over the value at hand, whatever it is. */
    void skip() throws IOException;
}
