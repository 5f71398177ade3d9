package io.sluice.control.agent;

import io.sluice.control.agent.state.NameChanges;
import io.sluice.dataplane.linux.DescriptorSocket;
import io.sluice.dataplane.linux.LinuxException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The messages of a hand-over.
 *
 * <pre>
 *   successor                             predecessor
 *   prepare (version, pid)            -&gt;  control waits, locks and state are released
 *                                     &lt;-  prepared (revision, lanes)
 *   (reads objects, compiles, publishes to its own lane)
 *   take                              -&gt;  the lane lets go of all ports
 *                                     &lt;-  devices, some at a time, with descriptors beside
 *                                     &lt;-  last devices
 *   (opens the ports)
 *   taken                             -&gt;
 *                                     &lt;-  names that came and went meanwhile, some at a time
 *                                     &lt;-  last names
 *                                         ends; the connection closes last
 * </pre>
 *
 * <p>Whatever else comes, or nothing in time, ends the conversation: each side closes, and the
 * predecessor goes on.
 *
 * <p>A message is text: its name in the first line, then a line {@code key=value} for each fact; an
 * empty line begins the facts of the next device.
 *
 * <p>Thread: one, but {@link #close} any.
 */
final class HandoverSocket implements AutoCloseable {
    /** Version of the messages; another is refused. */
    static final String VERSION = "2";

    private static final String DEVICES = "devices";
    private static final String LAST_DEVICES = "last devices";
    private static final String NAMES = "names";
    private static final String LAST_NAMES = "last names";
    private static final String REFUSED = "refused";
    private static final String REASON = "reason";

    /** Devices or names of a message: well below what its text can hold. */
    private static final int DEVICES_PER_MESSAGE = 64;

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

    private HandoverSocket(final DescriptorSocket socket) {
        this.socket = socket;
    }

    /** A socket that successors connect to; nothing may be at the path. */
    static HandoverSocket listen(final Path path) {
        return new HandoverSocket(DescriptorSocket.listen(path));
    }

    /** Connects to a daemon; empty where none listens. */
    static Optional<HandoverSocket> connect(final Path path) throws HandoverException {
        try {
            return DescriptorSocket.connect(path).map(HandoverSocket::new);
        } catch (final LinuxException e) {
            throw new HandoverException(String.valueOf(e.getMessage()), e);
        }
    }

    /** Waits for a successor; empty once the socket is closed. */
    Optional<HandoverSocket> accept() throws HandoverException {
        try {
            return socket.accept().map(HandoverSocket::new);
        } catch (final LinuxException e) {
            throw new HandoverException(String.valueOf(e.getMessage()), e);
        }
    }

    void say(final String what) throws HandoverException {
        say(what, Map.of());
    }

    void say(final String what, final Map<String, String> facts) throws HandoverException {
        send(what, List.of(facts), List.of());
    }

    /** Why the hand-over cannot be. */
    void refuse(final String reason) throws HandoverException {
        say(REFUSED, Map.of(REASON, reason));
    }

    void sayDevices(final List<PassedDevice> devices) throws HandoverException {
        int first = 0;
        do {
            final int end = endOfMessage(devices, first);
            final List<PassedDevice> some = devices.subList(first, end);
            send(
                    end == devices.size() ? LAST_DEVICES : DEVICES,
                    some.stream().map(PassedDevice::facts).toList(),
                    some.stream().flatMap(device -> device.descriptors().stream()).toList());
            first = end;
        } while (first < devices.size());
    }

    private static int endOfMessage(final List<PassedDevice> devices, final int first) {
        int end = first;
        int descriptors = 0;
        while (end < devices.size() && end - first < DEVICES_PER_MESSAGE) {
            descriptors += devices.get(end).descriptors().size();
            if (descriptors > DescriptorSocket.DESCRIPTORS_MAX) {
                break;
            }
            end++;
        }
        return end;
    }

    void sayNames(final NameChanges changes) throws HandoverException {
        final List<Map<String, String>> facts = PassedNames.facts(changes);
        int first = 0;
        do {
            final int end = Math.min(first + DEVICES_PER_MESSAGE, facts.size());
            send(end == facts.size() ? LAST_NAMES : NAMES, facts.subList(first, end), List.of());
            first = end;
        } while (first < facts.size());
    }

    NameChanges awaitNames(final int timeoutMs) throws HandoverException {
        final List<Map<String, String>> facts = new ArrayList<>();
        boolean last = false;
        while (!last) {
            final Received received = receive(NAMES, timeoutMs);
            last = received.name.equals(LAST_NAMES);
            if (!last && !received.name.equals(NAMES)) {
                throw new HandoverException("expected names, got " + received.name);
            }
            facts.addAll(received.facts);
        }
        try {
            return PassedNames.of(facts);
        } catch (final IllegalArgumentException e) {
            throw new HandoverException(String.valueOf(e.getMessage()), e);
        }
    }

    private void send(
            final String what,
            final List<Map<String, String>> facts,
            final List<Integer> descriptors)
            throws HandoverException {
        final StringBuilder text = new StringBuilder(what).append('\n');
        for (final Map<String, String> some : facts) {
            some.forEach((key, value) -> text.append(key).append('=').append(value).append('\n'));
            text.append('\n');
            if (some.values().stream().anyMatch(value -> value.indexOf('\n') >= 0)) {
                throw new HandoverException("a name with a line break: " + some);
            }
        }
        try {
            socket.send(text.toString(), descriptors);
        } catch (final LinuxException e) {
            throw new HandoverException("cannot say " + what + ": " + e.getMessage(), e);
        }
    }

    /**
     * Waits for one message.
     *
     * @return its facts
     */
    Map<String, String> await(final String what, final int timeoutMs) throws HandoverException {
        final Received received = receive(what, timeoutMs);
        if (!received.name.equals(what)) {
            throw new HandoverException("expected " + what + ", got " + received.name);
        }
        return received.facts.isEmpty() ? Map.of() : received.facts.getFirst();
    }

    List<PassedDevice> awaitDevices(final int timeoutMs) throws HandoverException {
        final List<PassedDevice> devices = new ArrayList<>();
        boolean last = false;
        while (!last) {
            final Received received = receive(DEVICES, timeoutMs);
            last = received.name.equals(LAST_DEVICES);
            if (!last && !received.name.equals(DEVICES)) {
                throw new HandoverException("expected devices, got " + received.name);
            }
            try {
                devices.addAll(devices(received));
            } catch (final IllegalArgumentException e) {
                throw new HandoverException(String.valueOf(e.getMessage()), e);
            }
        }
        return devices;
    }

    private static List<PassedDevice> devices(final Received received) {
        final List<PassedDevice> devices = new ArrayList<>();
        int first = 0;
        for (final Map<String, String> facts : received.facts) {
            final int end = first + PassedDevice.descriptorsOf(facts);
            if (end > received.descriptors.size()) {
                throw new IllegalArgumentException(
                        "devices with %d descriptors more than came"
                                .formatted(end - received.descriptors.size()));
            }
            devices.add(PassedDevice.of(facts, received.descriptors.subList(first, end)));
            first = end;
        }
        if (first != received.descriptors.size()) {
            throw new IllegalArgumentException(
                    "%d descriptors of no device".formatted(received.descriptors.size() - first));
        }
        return devices;
    }

    private record Received(
            String name, List<Map<String, String>> facts, List<Integer> descriptors) {}

    private Received receive(final String what, final int timeoutMs) throws HandoverException {
        final Optional<DescriptorSocket.Message> message;
        try {
            message = socket.receive(timeoutMs);
        } catch (final LinuxException e) {
            throw new HandoverException("waiting for " + what + ": " + e.getMessage(), e);
        }
        if (message.isEmpty()) {
            throw new HandoverException("the other side has closed before it said " + what);
        }
        final List<String> lines = message.get().text().lines().toList();
        final List<Map<String, String>> facts = new ArrayList<>();
        Map<String, String> some = new LinkedHashMap<>();
        for (final String line : lines.subList(1, lines.size())) {
            final int equals = line.indexOf('=');
            if (equals > 0) {
                some.put(line.substring(0, equals), line.substring(equals + 1));
            } else if (!some.isEmpty()) {
                facts.add(some);
                some = new LinkedHashMap<>();
            }
        }
        final Received received =
                new Received(lines.getFirst(), facts, message.get().descriptors());
        if (received.name.equals(REFUSED)) {
            throw new HandoverException(
                    "refused: "
                            + (facts.isEmpty() ? "" : facts.getFirst().getOrDefault(REASON, "")));
        }
        return received;
    }

    /** Waits until the other side has closed. */
    void awaitEnd(final int timeoutMs) throws HandoverException {
        try {
            if (socket.receive(timeoutMs).isPresent()) {
                throw new HandoverException("expected the end, got a message");
            }
        } catch (final LinuxException e) {
            throw new HandoverException("waiting for the end: " + e.getMessage(), e);
        }
    }

    @Override
    public void close() {
        socket.close();
    }
}
