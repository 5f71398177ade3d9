package io.sluice.control.agent;

import io.sluice.control.policy.Fields;
import io.sluice.control.policy.IpAddress;
import io.sluice.control.policy.World;
import io.sluice.dataplane.PacketFilter;
import io.sluice.dataplane.PacketFilter.Side;
import io.sluice.dataplane.wire.Ethernet;
import io.sluice.dataplane.wire.IpProtocol;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The language of {@code sluice trace --match}, a small part of pcap's with pods in it.
 *
 * <pre>
 *   expr      := and { ("or" | "||") and }
 *   and       := unary { ["and" | "&amp;&amp;"] unary }
 *   unary     := ("not" | "!") unary | "(" expr ")" | primitive
 *   primitive := tcp | udp | sctp | icmp | icmp6 | arp | ip | ip6
 *              | [src | dst] [host] ADDRESS
 *              | [src | dst] port NUMBER
 *              | [src | dst] pod [NAMESPACE/]NAME
 * </pre>
 *
 * <p>As in pcap, two primitives side by side are both meant ({@code tcp port 443}), and a blank
 * text is every packet. A pod stands for the addresses that it has when the trace begins. What is
 * wrong is said with its position, counted from 1, and with what is accepted there.
 *
 * <p>Bounds: {@link #LENGTH_MAX} characters, {@link #DEPTH_MAX} parentheses and negations within
 * each other. Thread: any; one per text.
 */
final class PacketExpression {
    static final int LENGTH_MAX = 4096;
    static final int DEPTH_MAX = 64;

    private static final int PORT_MAX = 65_535;

    private static final Pattern TOKEN = Pattern.compile("\\(|\\)|&&|\\|\\||!|[^\\s()!&|]+");

    private static final List<String> PRIMITIVES =
            List.of(
                    "tcp", "udp", "sctp", "icmp", "icmp6", "arp", "ip", "ip6", "src", "dst", "host",
                    "port", "pod");

    private static final String ACCEPTED =
            "accepted: tcp, udp, sctp, icmp, icmp6, arp, ip, ip6, [src|dst] host ADDRESS, [src|dst]"
                    + " port NUMBER, [src|dst] pod NAMESPACE/NAME, not, and, or, ( )";

    /** A word and where it begins, from 1. */
    private record Token(String text, int position) {}

    private final List<Token> tokens = new ArrayList<>();
    private final World world;
    private final int endPosition;
    private int next;
    private int depth;

    private PacketExpression(final String text, final World world) {
        this.world = world;
        this.endPosition = text.length() + 1;
        final Matcher matcher = TOKEN.matcher(text);
        int from = 0;
        while (matcher.find()) {
            refuseBetween(text, from, matcher.start());
            tokens.add(new Token(matcher.group(), matcher.start() + 1));
            from = matcher.end();
        }
        refuseBetween(text, from, text.length());
    }

    /** A single {@code &} or {@code |} is no word. */
    private static void refuseBetween(final String text, final int from, final int to) {
        for (int i = from; i < to; i++) {
            if (!Character.isWhitespace(text.charAt(i))) {
                throw wrong(i + 1, "\"" + text.charAt(i) + "\": " + ACCEPTED);
            }
        }
    }

    /**
     * Reads an expression.
     *
     * @param world whose pods are meant
     * @throws RequestException INVALID with the position and what is accepted there
     */
    static PacketFilter parse(final String text, final World world) {
        if (text.length() > LENGTH_MAX) {
            throw wrong(
                    LENGTH_MAX + 1, text.length() + " characters: accepted: at most " + LENGTH_MAX);
        }
        if (text.isBlank()) {
            return new PacketFilter.All();
        }
        final PacketExpression expression = new PacketExpression(text, world);
        final PacketFilter filter = expression.or();
        if (expression.next < expression.tokens.size()) {
            final Token rest = expression.tokens.get(expression.next);
            throw wrong(
                    rest.position, "\"" + rest.text + "\": accepted: and, or, the end of the text");
        }
        return filter;
    }

    private PacketFilter or() {
        PacketFilter left = and();
        while (take("or") || take("||")) {
            left = new PacketFilter.Or(left, and());
        }
        return left;
    }

    private PacketFilter and() {
        PacketFilter left = unary();
        while (take("and") || take("&&") || startsUnary()) {
            left = new PacketFilter.And(left, unary());
        }
        return left;
    }

    /** Whether what follows is meant as well, though nothing joins it. */
    private boolean startsUnary() {
        if (next == tokens.size()) {
            return false;
        }
        final String word = tokens.get(next).text;
        return PRIMITIVES.contains(word)
                || word.equals("(")
                || word.equals("!")
                || word.equals("not");
    }

    private PacketFilter unary() {
        if (next == tokens.size()) {
            throw wrong(endPosition, "the text ends: " + ACCEPTED);
        }
        final Token token = tokens.get(next++);
        return switch (token.text) {
            case "not", "!" -> {
                enter(token);
                final PacketFilter condition = unary();
                depth--;
                yield new PacketFilter.Not(condition);
            }
            case "(" -> {
                enter(token);
                final PacketFilter inner = or();
                if (!take(")")) {
                    throw wrong(position(), found() + ": accepted: and, or, )");
                }
                depth--;
                yield inner;
            }
            case "tcp" -> new PacketFilter.Protocol(IpProtocol.TCP);
            case "udp" -> new PacketFilter.Protocol(IpProtocol.UDP);
            case "sctp" -> new PacketFilter.Protocol(IpProtocol.SCTP);
            case "icmp" -> new PacketFilter.Protocol(IpProtocol.ICMP);
            case "icmp6" -> new PacketFilter.Protocol(IpProtocol.ICMP6);
            case "arp" -> new PacketFilter.EtherType(Ethernet.ARP);
            case "ip" -> new PacketFilter.EtherType(Ethernet.IPV4);
            case "ip6" -> new PacketFilter.EtherType(Ethernet.IPV6);
            case "src" -> end(Side.SOURCE);
            case "dst" -> end(Side.DESTINATION);
            case "host", "port", "pod" -> {
                next--;
                yield end(Side.EITHER);
            }
            default -> address(token, Side.EITHER, true);
        };
    }

    private void enter(final Token token) {
        depth++;
        if (depth > DEPTH_MAX) {
            throw wrong(
                    token.position,
                    "nested deeper than "
                            + DEPTH_MAX
                            + ": accepted: fewer parentheses and negations within each other");
        }
    }

    private PacketFilter end(final Side side) {
        if (take("host")) {
            return address(word("an address as 10.0.0.1 or fd00::1"), side, false);
        }
        if (take("port")) {
            return port(word("a number from 0 to " + PORT_MAX), side);
        }
        if (take("pod")) {
            return pod(word("NAMESPACE/NAME of a pod"), side);
        }
        return address(word("host ADDRESS, port NUMBER, pod NAMESPACE/NAME, ADDRESS"), side, true);
    }

    private Token word(final String accepted) {
        if (next == tokens.size()) {
            throw wrong(endPosition, "the text ends: accepted: " + accepted);
        }
        return tokens.get(next++);
    }

    private static PacketFilter address(
            final Token token, final Side side, final boolean isAnythingElse) {
        final Optional<IpAddress> address = IpAddress.parse(token.text);
        if (address.isPresent()) {
            return new PacketFilter.Address(side, address.get().high(), address.get().low());
        }
        throw wrong(
                token.position,
                "\""
                        + token.text
                        + "\": "
                        + (isAnythingElse
                                ? ACCEPTED
                                        + Fields.nearest(token.text, PRIMITIVES)
                                                .map(near -> ": did you mean " + near + "?")
                                                .orElse("")
                                : "accepted: an address as 10.0.0.1 or fd00::1"));
    }

    private static PacketFilter port(final Token token, final Side side) {
        final boolean isNumber =
                token.text.length() <= 5 && token.text.chars().allMatch(c -> c >= '0' && c <= '9');
        if (!isNumber || Integer.parseInt(token.text) > PORT_MAX) {
            throw wrong(
                    token.position,
                    "\"" + token.text + "\": accepted: a number from 0 to " + PORT_MAX);
        }
        return new PacketFilter.PortNumber(side, Integer.parseInt(token.text));
    }

    private PacketFilter pod(final Token token, final Side side) {
        final int slash = token.text.indexOf('/');
        final String namespace = slash < 0 ? "default" : token.text.substring(0, slash);
        final String name = token.text.substring(slash + 1);
        final List<IpAddress> addresses =
                world.lookupPod(namespace, name)
                        .map(pod -> pod.addresses())
                        .orElseThrow(() -> noPod(token, namespace + "/" + name));
        return addresses.stream()
                .map(
                        address ->
                                (PacketFilter)
                                        new PacketFilter.Address(
                                                side, address.high(), address.low()))
                .reduce(PacketFilter.Or::new)
                .orElseThrow(
                        () ->
                                wrong(
                                        token.position,
                                        "\"" + token.text + "\": the pod has no address yet"));
    }

    private RequestException noPod(final Token token, final String path) {
        final List<String> paths = world.pods().stream().map(pod -> pod.ref().path()).toList();
        return wrong(
                token.position,
                "there is no pod "
                        + path
                        + Fields.nearest(path, paths)
                                .map(near -> ": did you mean " + near + "?")
                                .orElse(": accepted: NAMESPACE/NAME of a pod"));
    }

    private boolean take(final String word) {
        final boolean isNext = next < tokens.size() && tokens.get(next).text.equals(word);
        if (isNext) {
            next++;
        }
        return isNext;
    }

    private int position() {
        return next < tokens.size() ? tokens.get(next).position : endPosition;
    }

    private String found() {
        return next < tokens.size() ? "\"" + tokens.get(next).text + "\"" : "the text ends";
    }

    private static RequestException wrong(final int position, final String what) {
        return new RequestException(
                RequestException.Reason.INVALID, "match: position " + position + ": " + what);
    }
}
