package io.sluice.dataplane.linux;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A pair of veth devices (drivers/net/veth.c): one end in a pod's namespace, the <i>peer</i> in
 * ours, where an XDP program reads it.
 *
 * <h2>Theory of operation</h2>
 *
 * <p>A pair lives until one of its ends is deleted or the namespace of an end is removed; it needs
 * no process. So it outlives a crash of the switch, is found again by {@link #open} with addresses
 * and routes as they were, and is removed by {@link #remove}.
 *
 * <p>The peer is sealed. While no program is attached to it, after a crash or before the start, its
 * frames reach this namespace's own stack, and must end there: it has no address, no IPv6, does not
 * answer ARP, does not forward, and takes no packet whose source is not routed back to it
 * (rp_filter). Frames to the pod's gateway are not addressed to the peer's MAC address either.
 *
 * <p>The pod's end sends no super-frames (gso_max_segs 1): a program cannot be told of them. The
 * kernel cuts them for the sender, and leaves the checksum open.
 *
 * <p>The pod sends by as many queues as the peer receives by. Programs of the pod that run on
 * several processors then do not wait for each other ({@link XdpQueues}). The other direction has
 * one: a lane is one thread.
 *
 * <p>Thread: any; blocks the caller.
 */
public final class VethPair {
    /** Marks devices as ours. */
    private static final String ALIAS = "sluice";

    /** In front of the index of the other end, or of its name where that is beside it. */
    private static final Pattern OTHER_END = Pattern.compile("@(?:if(\\d+)|([^:\\s]+)):");

    private static final Pattern RX_QUEUES = Pattern.compile("numrxqueues (\\d+)");

    private final String peer;

    private VethPair(final String peer) {
        this.peer = peer;
    }

    /**
     * Makes the pair, or finds it again. The peer is up, the pod's end is as it was, or down.
     *
     * @param peer name of the end in the calling thread's namespace, 1 to 15 characters
     * @param namespace where the other end is
     * @param device name of the other end
     * @param mac of the other end, as people write it
     * @param mtuBytes of both ends
     * @param queues by which the pod sends, 1 or more; a pair that has another number is made anew
     * @throws LinuxException where one of the names is taken by a device that is not ours, a pair
     *     with another number of queues is in use (EBUSY), or the kernel refuses
     */
    public static VethPair open(
            final String peer,
            final NetworkNamespace namespace,
            final String device,
            final String mac,
            final int mtuBytes,
            final int queues) {
        final IpCommand here = IpCommand.here();
        final IpCommand inside = IpCommand.in(namespace);
        final boolean isHere = Tun.deviceExists(peer);
        final boolean isInside = namespace.call(() -> Tun.deviceExists(device));
        if (isHere) {
            requireOurs(here, peer, "");
        }
        if (isInside) {
            requireOurs(inside, device, " in network namespace " + namespace);
        }
        final boolean isPair = isHere && isInside && isEndOf(inside, device, peer);
        final boolean fits = isPair && hasQueues(here, peer, queues);
        if (isHere && !fits) {
            // Its other end is in a namespace that the pod had before, or both go.
            here.batch(List.of("link del dev " + peer));
        }
        if (isInside && !isPair) {
            throw new LinuxException(
                    "device %s in network namespace %s: not the other end of %s: remove it"
                            .formatted(device, namespace, peer));
        }
        final VethPair pair = new VethPair(peer);
        try {
            final List<String> lines = new ArrayList<>();
            if (!fits) {
                lines.add(
                        ("link add name %s numtxqueues 1 numrxqueues %d type veth peer name %s"
                                        + " numtxqueues %d numrxqueues 1 netns %s")
                                .formatted(peer, queues, device, queues, namespace.path()));
            }
            lines.add("link set dev %s alias %s arp off mtu %d".formatted(peer, ALIAS, mtuBytes));
            here.batch(lines);
            seal(peer);
            here.batch(List.of("link set dev " + peer + " up"));
            inside.batch(
                    List.of(
                            "link set dev %s alias %s address %s mtu %d gso_max_segs 1"
                                    .formatted(device, ALIAS, mac, mtuBytes)));
            return pair;
        } catch (final RuntimeException e) {
            if (!fits) {
                pair.remove();
            }
            throw e;
        }
    }

    /** Name of the end in our namespace. */
    public String peer() {
        return peer;
    }

    /** Removes both ends; a pair that is gone is none to remove. Same namespace as at open. */
    public void remove() {
        if (Tun.deviceExists(peer)) {
            try {
                IpCommand.here().batch(List.of("link del dev " + peer));
            } catch (final LinuxException e) {
                if (Tun.deviceExists(peer)) {
                    throw e;
                }
            }
        }
    }

    private static boolean isEndOf(final IpCommand inside, final String device, final String peer) {
        final Matcher other = OTHER_END.matcher(inside.query("-o", "link", "show", "dev", device));
        return other.find()
                && (other.group(1) == null
                        ? peer.equals(other.group(2))
                        : Integer.parseInt(other.group(1)) == Libc.deviceIndex(peer));
    }

    private static boolean hasQueues(final IpCommand here, final String peer, final int queues) {
        final String link = here.query("-d", "link", "show", "dev", peer);
        final Matcher found = RX_QUEUES.matcher(link);
        if (found.find() && Integer.parseInt(found.group(1)) == queues) {
            return true;
        }
        if (link.contains("prog/xdp")) {
            throw LinuxException.of(
                    "change the queues of " + peer,
                    -Errno.EBUSY.number(),
                    "another process reads it");
        }
        return false;
    }

    private static void requireOurs(final IpCommand ip, final String device, final String where) {
        final String link = ip.query("link", "show", "dev", device);
        if (link.lines().noneMatch(line -> line.strip().equals("alias " + ALIAS))) {
            throw new LinuxException(
                    "device "
                            + device
                            + where
                            + ": the name is taken by a device that is not ours: remove it or choose"
                            + " another name");
        }
    }

    private static void seal(final String peer) {
        set("net/ipv4/conf/" + peer + "/rp_filter", "1");
        set("net/ipv4/conf/" + peer + "/forwarding", "0");
        set("net/ipv4/conf/" + peer + "/drop_unicast_in_l2_multicast", "1");
        final String ipv6 = "net/ipv6/conf/" + peer + "/disable_ipv6";
        // A kernel without IPv6 has none to switch off.
        if (Files.exists(Path.of("/proc/sys", ipv6))) {
            set(ipv6, "1");
        }
    }

    private static void set(final String name, final String value) {
        final Path file = Path.of("/proc/sys").resolve(name);
        try {
            Files.writeString(file, value);
        } catch (final IOException e) {
            throw new LinuxException("write " + value + " to " + file + ": " + e.getMessage(), e);
        }
    }
}
