package io.sluice.control.policy;

import io.sluice.control.policy.DiffTraffic.Judgement;
import io.sluice.control.policy.DiffTraffic.Reach;
import io.sluice.control.policy.DiffWorld.View;
import io.sluice.control.policy.PolicyDiff.Change;
import io.sluice.control.policy.PolicyDiff.Ends;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/**
 * The comparison behind {@link PolicyDiff}; read {@link #changes} first.
 *
 * <pre>
 *   ends     pods by name; nodes and the rest of the address space, cut as finely as the prefixes
 *            of both worlds cut it
 *   classes  ends that the policy maps and identities of both worlds cannot tell apart
 *   cells    for a pair of classes, the traffic that passes before and after
 *   groups   classes of one kind whose cells, as source and as destination, are all the same
 *   changes  groups joined where they have one change in common
 * </pre>
 *
 * <p>An end that one world lacks connects to nothing there. A pair is compared over the families
 * that both ends have, in each world by its own; if those are others, that alone is no change. Ends
 * of which neither is an endpoint, or a node with policies, are not compared: no policy applies
 * between them. An address that is a pod's in either world is told as that pod only. A name that
 * policies learn addresses from is an address outside without a prefix of its own; a pattern is
 * tried by one name that it matches.
 *
 * <p>Cost: the square of the number of classes in time and, four bytes each, in memory. A thousand
 * pods of which policy can tell each from the others take a few seconds.
 *
 * <p>Thread: the caller's; for one comparison.
 */
final class WorldComparison {
    private static final int NO_CHANGE = 0;

    /** What an end is; ends of different kinds are never told in one line. */
    private enum Kind {
        POD,
        POD_ONLY_BEFORE,
        POD_ONLY_AFTER,
        NODE,
        NAME,
        OUTSIDE;

        private boolean isPod() {
            return this == POD || this == POD_ONLY_BEFORE || this == POD_ONLY_AFTER;
        }
    }

    /** Ends that both worlds cannot tell apart. */
    private record EndClass(Kind kind, DiffWorld.End before, DiffWorld.End after) {
        /** Whether any policy can apply to it. */
        private boolean isJudged() {
            return kind.isPod() || before.isJudgedNode() || after.isJudgedNode();
        }
    }

    /** The ends of a class or of several. */
    private static final class Members {
        private final Set<ObjectRef> pods = new TreeSet<>();
        private final Set<String> names = new TreeSet<>();
        private final Set<AddressRange> ranges = new TreeSet<>();

        void addAll(final Members others) {
            pods.addAll(others.pods);
            names.addAll(others.names);
            ranges.addAll(others.ranges);
        }
    }

    /** The traffic of a pair of classes in both worlds. */
    private record Cell(Reach before, Reach after) {}

    /** Classes with equal lines are one group: all their cells, in the order of the classes. */
    private record Lines(Kind kind, IntBuffer asSource, IntBuffer asDestination) {}

    /** A group: the position of one of its classes, and the ends of all. */
    private record Group(Kind kind, int position, Members members) {
        private boolean isOnePod() {
            return members.pods.size() == 1;
        }
    }

    /** Sources with one change towards a destination. */
    private record Sources(int cell, Kind kind, Kind destinationKind, List<Group> groups) {
        Sources with(final List<Group> sources) {
            return new Sources(cell, kind, destinationKind, List.copyOf(sources));
        }
    }

    private final DiffWorld before;
    private final DiffWorld after;
    private final DiffTraffic traffic;
    private final EndNames names;
    private final Map<EndClass, Members> classes = new LinkedHashMap<>();
    private final View view;
    private final Map<Cell, Integer> cellNumbers = new HashMap<>();
    private final List<Cell> cells = new ArrayList<>();

    /**
     * A comparison.
     *
     * @param view STAGED for what the staged policies would change beside what is enforced
     */
    WorldComparison(
            final DiffWorld before,
            final DiffWorld after,
            final DiffTraffic traffic,
            final View view) {
        this.view = view;
        this.before = before;
        this.after = after;
        this.traffic = traffic;
        this.names = new EndNames(before.world(), after.world());
    }

    List<Change> changes() {
        final Set<String> asked = new TreeSet<>(before.names());
        asked.addAll(after.names());
        if (!asked.isEmpty()) {
            before.regardNames();
            after.regardNames();
        }
        addPods();
        addAddresses();
        addHostWithoutAddress();
        addNames(asked);
        final List<EndClass> ordered = List.copyOf(classes.keySet());
        final int[][] numbers = cellNumbers(ordered);
        final List<Change> changes = new ArrayList<>();
        joined(groups(ordered, numbers), numbers)
                .forEach((sources, destinations) -> changes.addAll(changes(sources, destinations)));
        changes.sort(
                Comparator.comparing((Change change) -> change.sources().text())
                        .thenComparing(change -> change.destinations().text())
                        .thenComparing(Change::type)
                        .thenComparing(Change::before)
                        .thenComparing(Change::after));
        return changes;
    }

    // Ends and classes

    private void addPods() {
        for (final ObjectRef pod : names.pods()) {
            final DiffWorld.End then = before.pod(pod);
            final DiffWorld.End now = after.pod(pod);
            final Kind kind =
                    then.isAbsent()
                            ? Kind.POD_ONLY_AFTER
                            : now.isAbsent() ? Kind.POD_ONLY_BEFORE : Kind.POD;
            members(kind, then, now).pods.add(pod);
        }
    }

    private void addAddresses() {
        final Set<Cidr> prefixes = new HashSet<>();
        final Set<Cidr> pods = new HashSet<>();
        final Map<IpAddress, String> nodes = new HashMap<>();
        for (final DiffWorld world : List.of(before, after)) {
            world.policies().ipcache().forEach(entry -> prefixes.add(entry.prefix()));
            world.world().pods().stream()
                    .filter(Pod::isEndpoint)
                    .flatMap(pod -> pod.addresses().stream())
                    .forEach(address -> pods.add(Cidr.host(address)));
            for (final KubeObject.Node node : world.world().all(KubeObject.Node.class)) {
                node.addresses().forEach(address -> nodes.put(address, node.meta().name()));
            }
            for (final CalicoPolicy.HostEndpoint endpoint :
                    world.world().all(CalicoPolicy.HostEndpoint.class)) {
                for (final IpAddress address : endpoint.expectedIps()) {
                    prefixes.add(Cidr.host(address));
                    nodes.putIfAbsent(address, endpoint.node());
                }
            }
        }
        for (final AddressBlock block : AddressBlock.of(prefixes, pods)) {
            final String node = nodes.getOrDefault(block.member(), "");
            final Members members =
                    members(
                            node.isEmpty() ? Kind.OUTSIDE : Kind.NODE,
                            before.address(block.member()),
                            after.address(block.member()));
            members.ranges.addAll(block.ranges());
            if (!node.isEmpty()) {
                members.names.add(node);
            }
        }
    }

    private void addHostWithoutAddress() {
        if (!before.hostHasAddress() && !after.hostHasAddress()) {
            members(Kind.NODE, before.hostWithoutAddress(), after.hostWithoutAddress())
                    .names
                    .add("host");
        }
    }

    private void addNames(final Set<String> asked) {
        for (final String pattern : asked) {
            final String example = exampleOf(pattern) + ".";
            members(Kind.NAME, before.learned(example), after.learned(example)).names.add(pattern);
        }
    }

    /** A name that the pattern matches, and others only if they match nearly all that it does. */
    private static String exampleOf(final String pattern) {
        return pattern.startsWith("**.")
                ? "some.name." + pattern.substring("**.".length()).replace("*", "any")
                : pattern.replaceAll("\\*+", "any");
    }

    private Members members(
            final Kind kind, final DiffWorld.End endBefore, final DiffWorld.End endAfter) {
        return classes.computeIfAbsent(new EndClass(kind, endBefore, endAfter), _ -> new Members());
    }

    // Cells and groups

    /** Number of the change from a class (row) to a class (column). */
    private int[][] cellNumbers(final List<EndClass> ordered) {
        final int[][] numbers = new int[ordered.size()][ordered.size()];
        for (int row = 0; row < numbers.length; row++) {
            for (int column = 0; column < numbers.length; column++) {
                numbers[row][column] = cellNumber(ordered.get(row), ordered.get(column));
            }
        }
        return numbers;
    }

    private int cellNumber(final EndClass from, final EndClass to) {
        if (!from.isJudged() && !to.isJudged()) {
            return NO_CHANGE;
        }
        final Reach then = before.reach(from.before, to.before, view);
        final Reach now = after.reach(from.after, to.after, view);
        if (then.equals(now) || from.kind == Kind.NAME) {
            return NO_CHANGE;
        }
        if (view == View.STAGED
                && then.equals(before.reach(from.before, to.before, View.ENFORCED))
                && now.equals(after.reach(from.after, to.after, View.ENFORCED))) {
            // Told of what is enforced already.
            return NO_CHANGE;
        }
        if (to.kind == Kind.NAME
                && then.equals(before.reach(from.before, before.learned(""), view))
                && now.equals(after.reach(from.after, after.learned(""), view))) {
            // What is true of every address is told of addresses.
            return NO_CHANGE;
        }
        return cellNumbers.computeIfAbsent(
                new Cell(then, now),
                cell -> {
                    cells.add(cell);
                    return cells.size();
                });
    }

    /** The groups that have any change. */
    private List<Group> groups(final List<EndClass> ordered, final int[][] numbers) {
        final IntBuffer unchanged = IntBuffer.allocate(numbers.length);
        final Map<Lines, Group> groups = new LinkedHashMap<>();
        for (int i = 0; i < numbers.length; i++) {
            final int position = i;
            final EndClass ends = ordered.get(i);
            final IntBuffer row = IntBuffer.wrap(numbers[i]);
            final IntBuffer column = IntBuffer.wrap(column(numbers, i));
            if (!row.equals(unchanged) || !column.equals(unchanged)) {
                groups.computeIfAbsent(
                                new Lines(ends.kind, row, column),
                                _ -> new Group(ends.kind, position, new Members()))
                        .members
                        .addAll(classes.getOrDefault(ends, new Members()));
            }
        }
        return List.copyOf(groups.values());
    }

    private static int[] column(final int[][] numbers, final int column) {
        final int[] cells = new int[numbers.length];
        for (int row = 0; row < cells.length; row++) {
            cells[row] = numbers[row][column];
        }
        return cells;
    }

    // Changes

    /**
     * For every destination the sources of one change together; then the destinations together that
     * have the same sources. A pod among its own sources stands there for the shortness of the
     * phrase, if it would have the change towards a second pod like it.
     */
    private static Map<Sources, List<Group>> joined(
            final List<Group> groups, final int[][] numbers) {
        final Map<Sources, List<Group>> joined = new LinkedHashMap<>();
        for (final Group destination : groups) {
            final Map<Sources, List<Group>> ofDestination = new LinkedHashMap<>();
            for (final Group source : groups) {
                final int cell = numbers[source.position][destination.position];
                if (cell != NO_CHANGE) {
                    ofDestination
                            .computeIfAbsent(
                                    new Sources(cell, source.kind, destination.kind, List.of()),
                                    _ -> new ArrayList<>())
                            .add(source);
                }
            }
            ofDestination.forEach(
                    (key, sources) -> {
                        final boolean onlyItself =
                                destination.isOnePod() && sources.equals(List.of(destination));
                        if (!onlyItself) {
                            joined.computeIfAbsent(key.with(sources), _ -> new ArrayList<>())
                                    .add(destination);
                        }
                    });
        }
        return joined;
    }

    private List<Change> changes(final Sources sources, final List<Group> destinationGroups) {
        final Ends from = ends(sources.kind, sources.groups);
        final Ends to = ends(sources.destinationKind, destinationGroups);
        final List<String> notes = new ArrayList<>();
        if (view == View.STAGED) {
            notes.add("with the staged policies");
        }
        addPresence("source", sources.kind, notes);
        addPresence("destination", sources.destinationKind, notes);
        final Cell cell = cells.get(sources.cell - 1);
        if (cell.before.isOne() && cell.after.isOne()) {
            return List.of(
                    change(
                            from,
                            to,
                            traffic.map(cell.before.ipv4()),
                            traffic.map(cell.after.ipv4()),
                            notes));
        }
        final List<Change> changes = new ArrayList<>();
        for (final boolean ipv4 : List.of(true, false)) {
            final int otherIcmp = ipv4 ? IpProtocol.ICMPV6 : IpProtocol.ICMP;
            final TrafficMap<Judgement> then =
                    traffic.map(ipv4 ? cell.before.ipv4() : cell.before.ipv6())
                            .withoutProtocol(otherIcmp);
            final TrafficMap<Judgement> now =
                    traffic.map(ipv4 ? cell.after.ipv4() : cell.after.ipv6())
                            .withoutProtocol(otherIcmp);
            if (!then.equals(now)) {
                final List<String> ofFamily = new ArrayList<>(notes);
                ofFamily.add(ipv4 ? "over IPv4" : "over IPv6");
                changes.add(change(from, to, then, now, ofFamily));
            }
        }
        return changes;
    }

    private static void addPresence(final String end, final Kind kind, final List<String> notes) {
        switch (kind) {
            case POD_ONLY_BEFORE -> notes.add(end + " is only in OLD");
            case POD_ONLY_AFTER -> notes.add(end + " is only in NEW");
            case POD, NODE, NAME, OUTSIDE -> {}
        }
    }

    private static Change change(
            final Ends from,
            final Ends to,
            final TrafficMap<Judgement> then,
            final TrafficMap<Judgement> now,
            final List<String> notes) {
        final TrafficMap<Boolean> passed = then.map(Judgement::allowed);
        final TrafficMap<Boolean> passes = now.map(Judgement::allowed);
        final TrafficMap<Boolean> none = TrafficMap.always(false);
        final PolicyDiff.Type type;
        if (passed.equals(none) == passes.equals(none)) {
            type = PolicyDiff.Type.CHANGED;
        } else {
            type = passed.equals(none) ? PolicyDiff.Type.ADDED : PolicyDiff.Type.REMOVED;
        }
        final List<String> allNotes = new ArrayList<>(notes);
        allNotes.addAll(notes(then.combine(now, WorldComparison::requestNote)));
        allNotes.addAll(notes(then.combine(now, WorldComparison::authorNote)));
        return new Change(
                type,
                from,
                to,
                TrafficText.of(passed),
                TrafficText.of(passes),
                List.copyOf(allNotes));
    }

    /** A note for each part of the traffic that there is something to say of. */
    private static List<String> notes(final TrafficMap<String> texts) {
        final List<String> notes = new ArrayList<>();
        for (final String text : texts.values()) {
            if (!text.isEmpty()) {
                notes.add(TrafficText.of(texts.map(text::equals)) + " " + text);
            }
        }
        return notes;
    }

    /** What a proxy asks now that it did not ask before. */
    private static String requestNote(final Judgement was, final Judgement is) {
        if (!is.allowed() || was.requests().equals(is.requests())) {
            return "";
        }
        final String rules = parsers(is);
        if (!was.allowed()) {
            return "with " + rules;
        }
        if (rules.equals(parsers(was))) {
            return "with other " + rules;
        }
        return "with " + rules + ", before with " + parsers(was);
    }

    private static String parsers(final Judgement judgement) {
        return judgement.requests().isEmpty()
                ? "no L7 rules"
                : judgement.requests().stream()
                        .map(RequestRules::toString)
                        .distinct()
                        .sorted()
                        .collect(Collectors.joining(" and "));
    }

    /** Who decides, where that is another than before. */
    private static String authorNote(final Judgement was, final Judgement is) {
        return was.by().equals(is.by())
                ? ""
                : "decided by " + authors(is) + ", before by " + authors(was);
    }

    /** Ends that nobody isolates say nothing where a policy decides at the other end. */
    private static String authors(final Judgement judgement) {
        final List<String> policies = new ArrayList<>();
        for (final Author author : judgement.by()) {
            if (!author.kind().isEmpty()) {
                policies.add(author.toString());
            }
        }
        if (policies.isEmpty()) {
            return judgement.by().isEmpty() ? "nobody" : judgement.by().getLast().toString();
        }
        return String.join(" and ", policies);
    }

    // Names of ends

    private Ends ends(final Kind kind, final List<Group> groups) {
        final Members all = new Members();
        groups.forEach(group -> all.addAll(group.members));
        final List<String> members = new ArrayList<>();
        if (kind.isPod()) {
            all.pods.forEach(pod -> members.add(pod.path()));
            return new Ends(names.of(all.pods), members);
        }
        AddressRange.joined(all.ranges).forEach(range -> members.add(range.toString()));
        final String ranges = String.join(" and ", members);
        if (kind == Kind.OUTSIDE) {
            return new Ends(ranges, members);
        }
        members.addAll(0, all.names);
        return new Ends(
                (kind == Kind.NAME ? "name " : "node ")
                        + String.join(" and ", all.names)
                        + (ranges.isEmpty() ? "" : " (" + ranges + ")"),
                members);
    }
}
