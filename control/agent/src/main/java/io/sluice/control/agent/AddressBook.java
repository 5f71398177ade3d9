package io.sluice.control.agent;

import io.sluice.control.policy.IpAddress;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Which pod has which address of the node's pool, so that a pod keeps its address over restarts of
 * itself and of the daemon.
 *
 * <p>Kept in a file of the state folder, one line per pod: {@code namespace/name address...}. An
 * entry outlives its pod. When a pool has no free address, the pod that was assigned longest ago
 * and is not there now is forgotten first; when all are there, the answer is empty and the endpoint
 * fails with "no free address".
 *
 * <p>Thread: control.
 */
final class AddressBook {
    private final Path file;
    // In order of assignment, the oldest first.
    private final Map<String, List<IpAddress>> addresses = new LinkedHashMap<>();
    private boolean changed;

    private AddressBook(final Path file) {
        this.file = file;
    }

    /** An empty book, for plans that are not carried out; it is not to be saved. */
    static AddressBook forTrial() {
        return new AddressBook(Path.of(""));
    }

    /**
     * Reads the book; a file that is not there is an empty book.
     *
     * @throws StartupException when a line cannot be read: guessing could give one address to two
     *     pods
     */
    static AddressBook load(final Path file) throws StartupException {
        final AddressBook book = new AddressBook(file);
        try {
            if (!Files.exists(file)) {
                return book;
            }
            int number = 0;
            for (final String line : Files.readAllLines(file)) {
                number++;
                if (!line.isBlank()) {
                    book.readLine(number, line.strip());
                }
            }
            return book;
        } catch (final IOException e) {
            throw new StartupException("%s: %s".formatted(file, e), e);
        }
    }

    private void readLine(final int number, final String line) throws StartupException {
        final List<String> words = List.of(line.split("\\s+"));
        final List<IpAddress> found = new ArrayList<>();
        for (final String word : words.subList(1, words.size())) {
            final Optional<IpAddress> address = IpAddress.parse(word);
            if (address.isEmpty()) {
                throw new StartupException(
                        "%s:%d: \"%s\" is not an address: correct or delete the line"
                                .formatted(file, number, word));
            }
            found.add(address.get());
        }
        addresses.put(words.getFirst(), List.copyOf(found));
    }

    /**
     * The pod's address of this pool: the one it had, or the lowest free one.
     *
     * @param pod {@code namespace/name}
     * @param taken addresses that are in use by something else
     * @param present pods that are there now, whose entries must stay
     */
    Optional<IpAddress> assign(
            final String pod,
            final AddressPool pool,
            final Set<IpAddress> taken,
            final Set<String> present) {
        final Optional<IpAddress> remembered =
                addresses.getOrDefault(pod, List.of()).stream()
                        .filter(address -> pool.hasForPods(address) && !taken.contains(address))
                        .findFirst();
        if (remembered.isPresent()) {
            return remembered;
        }
        final Set<IpAddress> unfree = new LinkedHashSet<>(taken);
        addresses.values().forEach(unfree::addAll);
        Optional<IpAddress> free = pool.lowestFree(unfree);
        if (free.isEmpty()) {
            free = forgetOne(pool, taken, present);
        }
        free.ifPresent(address -> remember(pod, pool, address));
        return free;
    }

    /** Frees the address of the pod that was assigned longest ago and is not there. */
    private Optional<IpAddress> forgetOne(
            final AddressPool pool, final Set<IpAddress> taken, final Set<String> present) {
        for (final Map.Entry<String, List<IpAddress>> entry : addresses.entrySet()) {
            final Optional<IpAddress> address =
                    entry.getValue().stream()
                            .filter(own -> pool.hasForPods(own) && !taken.contains(own))
                            .findFirst();
            if (address.isPresent() && !present.contains(entry.getKey())) {
                addresses.remove(entry.getKey());
                changed = true;
                return address;
            }
        }
        return Optional.empty();
    }

    private void remember(final String pod, final AddressPool pool, final IpAddress address) {
        final List<IpAddress> own = new ArrayList<>(addresses.getOrDefault(pod, List.of()));
        own.removeIf(before -> before.isIpv4() == pool.prefix().isIpv4());
        own.add(address);
        addresses.remove(pod);
        addresses.put(pod, List.copyOf(own));
        changed = true;
    }

    /** Writes the book if it changed, by atomic rename. */
    void save() throws IOException {
        if (!changed) {
            return;
        }
        final List<String> lines = new ArrayList<>();
        addresses.forEach(
                (pod, own) ->
                        lines.add(
                                pod
                                        + own.stream()
                                                .map(address -> " " + address)
                                                .reduce("", String::concat)));
        StateFiles.replace(file, String.join("\n", lines) + "\n");
        changed = false;
    }
}
