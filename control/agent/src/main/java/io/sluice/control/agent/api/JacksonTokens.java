package io.sluice.control.agent.api;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParseException;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;

/**
 * Any JSON text, by Jackson. What is no JSON throws its {@link IOException} where it is met.
 *
 * <p>Thread: one; for one text.
 */
final class JacksonTokens implements LineTokens, AutoCloseable {
    private static final JsonFactory JSON = new JsonFactory();

    private final JsonParser parser;
    private String field = "";

    /**
     * @param text bytes of UTF-8
     * @param from first of the JSON text
     * @param to one past its last
     */
    JacksonTokens(final byte[] text, final int from, final int to) throws IOException {
        parser = JSON.createParser(text, from, to - from);
    }

    /** Steps to the text's own value; false where there are only blanks. */
    boolean begin() throws IOException {
        return parser.nextToken() != null;
    }

    @Override
    public boolean isObject() {
        return parser.currentToken() == JsonToken.START_OBJECT;
    }

    @Override
    public boolean enterObject() throws IOException {
        return entered(JsonToken.START_OBJECT);
    }

    @Override
    public boolean enterArray() throws IOException {
        return entered(JsonToken.START_ARRAY);
    }

    private boolean entered(final JsonToken start) throws IOException {
        final boolean entered = parser.currentToken() == start;
        if (!entered) {
            parser.skipChildren();
        }
        return entered;
    }

    @Override
    public boolean nextField() throws IOException {
        if (parser.nextToken() != JsonToken.FIELD_NAME) {
            return false;
        }
        field = parser.currentName();
        parser.nextToken();
        return true;
    }

    @Override
    public String field() {
        return field;
    }

    @Override
    public boolean nextText() throws IOException {
        return nextElement(JsonToken.VALUE_STRING);
    }

    @Override
    public boolean nextObject() throws IOException {
        return nextElement(JsonToken.START_OBJECT);
    }

    private boolean nextElement(final JsonToken wanted) throws IOException {
        final JsonToken next = parser.nextToken();
        if (next != wanted && next != JsonToken.END_ARRAY) {
            throw new JsonParseException(parser, field + ": an element of another kind");
        }
        return next == wanted;
    }

    @Override
    public String text() throws IOException {
        return scalar().getValueAsString("");
    }

    @Override
    public int number() throws IOException {
        return scalar().getValueAsInt();
    }

    @Override
    public long count() throws IOException {
        return scalar().getValueAsLong();
    }

    @Override
    public boolean isTrue() throws IOException {
        return scalar().currentToken() == JsonToken.VALUE_TRUE;
    }

    private JsonParser scalar() throws JsonParseException {
        if (parser.currentToken().isStructStart()) {
            throw new JsonParseException(parser, field + ": neither object nor array is accepted");
        }
        return parser;
    }

    @Override
    public void skip() throws IOException {
        parser.skipChildren();
    }

    @Override
    public void close() throws IOException {
        parser.close();
    }
}
