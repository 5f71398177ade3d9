package io.sluice.control.agent;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.sluice.dataplane.linux.DescriptorSocket;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The messages of a hand-over: a JSON object each, with descriptors beside.
 *
 * <pre>
 *   successor                            predecessor
 *   {"say":"prepare","version":1,...}  -&gt;  control waits, locks and state are released
 *                                     &lt;-  {"say":"prepared","revision":N,...}
 *   (reads objects, compiles, publishes to its own lane)
 *   {"say":"take"}                     -&gt;  the lane lets go of all ports
 *                                     &lt;-  {"say":"devices","devices":[...],"last":false}   + descriptors
 *                                     &lt;-  {"say":"devices","devices":[...],"last":true}    + descriptors
 *   (opens the ports)
 *   {"say":"taken"}                    -&gt;  ends; the connection closes last
 * </pre>
 *
 * <p>Whatever else comes, or nothing in time, ends the conversation: each side closes, and the
 * predecessor goes on.
 *
 * <p>Thread: one.
 */
final class HandoverSocket implements AutoCloseable {
    /** Version of the messages; another is refused. */
    static final int VERSION = 1;

    /** Devices of a message: well below what a message can hold. */
    private static final int DEVICES_PER_MESSAGE = 64;

    private static final ObjectMapper JSON = new ObjectMapper();

    /** The conversation broke off, or the other side refuses; the message says why. */
    static final class HandoverException extends Exception {
        private static final long serialVersionUID = 1L;

        HandoverException(final String message) {
            super(message);
        }

        HandoverException(final String message, final Throwable cause) {
            super(message, cause);
        }
    }

    private final DescriptorSocket socket;

    HandoverSocket(final DescriptorSocket socket) {
        this.socket = socket;
    }

    void say(final String what) throws HandoverException {
        say(what, Map.of());
    }

    void say(final String what, final Map<String, Object> more) throws HandoverException {
        send(what, more, List.of());
    }

    /** Why the hand-over cannot be. */
    void refuse(final String reason) throws HandoverException {
        say("refused", Map.of("reason", reason));
    }

    void sayDevices(final List<PassedDevice> devices) throws HandoverException {
        int first = 0;
        do {
            final int end = Math.min(first + DEVICES_PER_MESSAGE, devices.size());
            final List<PassedDevice> some = devices.subList(first, end);
            send(
                    "devices",
                    Map.of(
                            "devices",
                            some.stream().map(PassedDevice::facts).toList(),
                            "last",
                            end == devices.size()),
                    some.stream().map(PassedDevice::descriptor).toList());
            first = end;
        } while (first < devices.size());
    }

    private void send(
            final String what, final Map<String, Object> more, final List<Integer> descriptors)
            throws HandoverException {
        final Map<String, Object> message = new LinkedHashMap<>();
        message.put("say", what);
        message.putAll(more);
        try {
            socket.send(JSON.writeValueAsString(message), descriptors);
        } catch (final JsonProcessingException | RuntimeException e) {
            throw new HandoverException("cannot say " + what + ": " + e.getMessage(), e);
        }
    }

    /**
     * Waits for one message.
     *
     * @return what it says beside its name
     */
    Map<String, Object> await(final String what, final int timeoutMs) throws HandoverException {
        return receive(what, timeoutMs).facts;
    }

    List<PassedDevice> awaitDevices(final int timeoutMs) throws HandoverException {
        final List<PassedDevice> devices = new ArrayList<>();
        boolean last = false;
        while (!last) {
            final Received received = receive("devices", timeoutMs);
            final Object listed = received.facts.get("devices");
            if (!(listed instanceof final List<?> facts)
                    || facts.size() != received.descriptors.size()) {
                throw new HandoverException(
                        "a message of devices whose descriptors are not as many");
            }
            for (int i = 0; i < facts.size(); i++) {
                try {
                    devices.add(
                            PassedDevice.of(
                                    JSON.convertValue(facts.get(i), new TypeReference<>() {}),
                                    received.descriptors.get(i)));
                } catch (final IllegalArgumentException e) {
                    throw new HandoverException(String.valueOf(e.getMessage()), e);
                }
            }
            last = Boolean.TRUE.equals(received.facts.get("last"));
        }
        return devices;
    }

    private record Received(Map<String, Object> facts, List<Integer> descriptors) {}

    private Received receive(final String what, final int timeoutMs) throws HandoverException {
        final Optional<DescriptorSocket.Message> message;
        final Map<String, Object> facts;
        try {
            message = socket.receive(timeoutMs);
            if (message.isEmpty()) {
                throw new HandoverException("the other side has closed before it said " + what);
            }
            facts = JSON.readValue(message.get().text(), new TypeReference<>() {});
        } catch (final JsonProcessingException | RuntimeException e) {
            throw new HandoverException("waiting for " + what + ": " + e.getMessage(), e);
        }
        final Object said = facts.get("say");
        if (what.equals(said)) {
            return new Received(facts, message.get().descriptors());
        }
        throw new HandoverException(
                "refused".equals(said)
                        ? "refused: " + facts.get("reason")
                        : "expected " + what + ", got " + said);
    }

    /** Waits until the other side has closed. */
    void awaitEnd(final int timeoutMs) throws HandoverException {
        try {
            if (socket.receive(timeoutMs).isPresent()) {
                throw new HandoverException("expected the end, got a message");
            }
        } catch (final RuntimeException e) {
            throw new HandoverException("waiting for the end: " + e.getMessage(), e);
        }
    }

    @Override
    public void close() {
        socket.close();
    }
}
