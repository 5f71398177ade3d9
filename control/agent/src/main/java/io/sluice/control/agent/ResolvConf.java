package io.sluice.control.agent;

import io.sluice.control.policy.IpAddress;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.CRC32;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The resolver that programs of an endpoint's namespace find: {@code /etc/netns/NAME/resolv.conf},
 * which {@code ip netns exec NAME} binds over {@code /etc/resolv.conf} (ip-netns(8)).
 *
 * <h2>Theory of operation</h2>
 *
 * <p>Purpose. A pod of a cluster asks {@code kube-dns}, with the search list of its namespace
 * (Kubernetes' dnsPolicy ClusterFirst). The same lines are written for an endpoint whose namespace
 * has a name, when its device is there and before its port is open, and taken away with the
 * endpoint. Containers and processes ({@code pid:N}) bring a file of their own.
 *
 * <p>Whose file it is. A file that is there already is its author's, and never touched: that is how
 * one namespace is told otherwise. One of ours says so in its first line, with a checksum over the
 * rest; whoever changes a byte of it has made it theirs. So what a killed daemon left is found
 * again, and taken away in the end. A folder that is empty after that goes too.
 *
 * <p>Limits. Two endpoints in one namespace share the file: it is the latest's. What runs already
 * when the file appears keeps the one it had. A world with another {@code kube-dns} than the
 * switch's gets no file.
 *
 * <p>Failures are logged, and the endpoint goes on without.
 *
 * <p>Thread: control.
 */
final class ResolvConf {
    private static final Logger LOG = LoggerFactory.getLogger(ResolvConf.class);

    /** Where ip-netns(8) looks. */
    static final Path FOLDER = Path.of("/etc/netns");

    private static final List<Path> NAMED =
            List.of(Path.of("/run/netns"), Path.of("/var/run/netns"));

    private static final Pattern FIRST_LINE =
            Pattern.compile("# sluice wrote this for (\\S+) ([0-9a-f]{8})\\b.*");

    private final Path folder;
    private final SluiceConfig.Resolver resolver;
    private final BooleanSupplier isOurs;

    /**
     * @param folder {@link #FOLDER}
     * @param isOurs whether the live world's {@code kube-dns} is the switch's resolver
     */
    ResolvConf(
            final Path folder, final SluiceConfig.Resolver resolver, final BooleanSupplier isOurs) {
        this.folder = folder;
        this.resolver = resolver;
        this.isOurs = isOurs;
    }

    /** Writes the file, unless there is one that is not ours. */
    void write(final EndpointSpec spec) {
        final Optional<Path> file = file(spec);
        if (file.isEmpty() || !resolver.inPods() || !isOurs.getAsBoolean()) {
            return;
        }
        final Path beside = file.get().resolveSibling(".resolv.conf.sluice");
        try {
            final Optional<String> owner = owner(file.get());
            if (owner.isEmpty() && Files.exists(file.get(), LinkOption.NOFOLLOW_LINKS)) {
                LOG.debug("{} stays: it is not ours", file.get());
                return;
            }
            Files.createDirectories(file.get().getParent());
            Files.writeString(beside, text(spec));
            if (owner.isPresent()) {
                Files.move(beside, file.get(), StandardCopyOption.ATOMIC_MOVE);
            } else {
                // Unlike a rename, a link never replaces a file that somebody made meanwhile.
                Files.createLink(file.get(), beside);
                Files.delete(beside);
            }
        } catch (final FileAlreadyExistsException e) {
            LOG.debug("{} stays: it came meanwhile", file.get(), e);
        } catch (final IOException e) {
            LOG.warn(
                    "endpoint {}: {} cannot be written: {}", spec.path(), file.get(), e.toString());
        }
    }

    /** Takes away what {@link #write} wrote for the endpoint, if nobody changed it. */
    void remove(final EndpointSpec spec) {
        final Optional<Path> file = file(spec);
        if (file.isEmpty()) {
            return;
        }
        try {
            if (owner(file.get()).equals(Optional.of(spec.path()))) {
                Files.delete(file.get());
                Files.deleteIfExists(file.get().getParent());
            }
        } catch (final DirectoryNotEmptyException e) {
            LOG.debug("{} has other files", file.get().getParent(), e);
        } catch (final IOException e) {
            LOG.warn("endpoint {}: {} stays: {}", spec.path(), file.get(), e.toString());
        }
    }

    private Optional<Path> file(final EndpointSpec spec) {
        final Path given = Path.of(spec.networkNamespace());
        final boolean isNamed =
                given.isAbsolute() ? NAMED.contains(given.getParent()) : given.getNameCount() == 1;
        final String name = String.valueOf(given.getFileName());
        return isNamed && !name.startsWith("pid:") && !name.startsWith(".") && !name.isEmpty()
                ? Optional.of(folder.resolve(name).resolve("resolv.conf"))
                : Optional.empty();
    }

    /** The endpoint that a file of ours was written for; empty if it is not ours, or not there. */
    private static Optional<String> owner(final Path file) throws IOException {
        if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
            return Optional.empty();
        }
        try {
            // Any bytes are text in this charset.
            final String text = Files.readString(file, StandardCharsets.ISO_8859_1);
            final int end = text.indexOf('\n');
            final Matcher first = FIRST_LINE.matcher(text.substring(0, Math.max(end, 0)));
            return first.matches()
                            && text.equals(withFirstLine(first.group(1), text.substring(end + 1)))
                    ? Optional.of(first.group(1))
                    : Optional.empty();
        } catch (final NoSuchFileException e) {
            return Optional.empty();
        }
    }

    private String text(final EndpointSpec spec) {
        final StringBuilder rest = new StringBuilder();
        for (final IpAddress address : resolver.addresses()) {
            rest.append("nameserver ").append(address).append('\n');
        }
        rest.append(
                "search %1$s.svc.%2$s svc.%2$s %2$s\n"
                        .formatted(spec.namespace(), resolver.domain()));
        rest.append("options ndots:5\n");
        return withFirstLine(spec.path(), rest.toString());
    }

    private static String withFirstLine(final String endpoint, final String rest) {
        final CRC32 sum = new CRC32();
        sum.update((endpoint + "\n" + rest).getBytes(StandardCharsets.ISO_8859_1));
        return "# sluice wrote this for %s %08x; change it, and it is yours\n%s"
                .formatted(endpoint, sum.getValue(), rest);
    }
}
