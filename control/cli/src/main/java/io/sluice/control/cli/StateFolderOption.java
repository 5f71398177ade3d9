package io.sluice.control.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.sluice.control.agent.state.IdentityRow;
import io.sluice.control.agent.state.NameRow;
import io.sluice.control.agent.state.PrefixRow;
import io.sluice.control.agent.state.StateException;
import io.sluice.control.agent.state.StateTables;
import io.sluice.control.agent.state.StateTables.Which;
import io.sluice.control.policy.Cidr;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/**
 * Whether a table is read from the state folder of a daemon that is down; as the API answers it.
 */
final class StateFolderOption {
    private static final Path FOLDER_DEFAULT = Path.of("/var/lib/sluice");

    @Option(
            names = "--offline",
            description = {
                "Reads what the daemon knew last from its state folder, also while it is down."
            })
    private boolean offline;

    @Option(
            names = "--state-folder",
            paramLabel = "FOLDER",
            description = "The state folder of --offline. Default: /var/lib/sluice.")
    private @Nullable Path folder;

    StateFolderOption() {}

    /** The folder to read. */
    Path folder() {
        return Optional.ofNullable(folder).orElse(FOLDER_DEFAULT);
    }

    boolean isOffline() {
        if (folder != null && !offline) {
            throw CommandError.usage("--state-folder: goes with --offline");
        }
        return offline;
    }

    /**
     * A table as the daemon has it, or with {@code --offline} as the state folder has it. Where no
     * daemon answers, the error says how to read it all the same.
     *
     * @param target path of the API
     * @param offline reads the state folder
     */
    JsonNode table(
            final Console console,
            final DaemonOption daemon,
            final String target,
            final Function<Console, JsonNode> offline) {
        if (isOffline()) {
            return offline.apply(console);
        }
        try {
            return daemon.client(console).get(target);
        } catch (final CommandError e) {
            if (e.exitCode() == ExitCode.UNREACHABLE && e.status() == 0) {
                throw CommandError.unreachable(
                        e.text()
                                + "; what a daemon knew last is shown with --offline"
                                + " [--state-folder FOLDER]");
            }
            throw e;
        }
    }

    /** The identities of the last policy. */
    JsonNode identities(final Console console) {
        final ArrayNode rows = JsonNodeFactory.instance.arrayNode();
        for (final IdentityRow identity : read(console, Which.IDENTITIES).identities()) {
            if (identity.live()) {
                final ObjectNode row = rows.addObject();
                row.put("number", identity.number());
                identity.labels().forEach(row.withArray("labels")::add);
                row.put("endpointCount", identity.endpointCount());
            }
        }
        return rows;
    }

    /** The prefixes of the last policy. */
    JsonNode ipcache(final Console console) {
        final ArrayNode rows = JsonNodeFactory.instance.arrayNode();
        for (final PrefixRow prefix : read(console, Which.PREFIXES).prefixes()) {
            final ObjectNode row = rows.addObject();
            row.put("prefix", prefix.prefix().toString());
            row.put("identity", prefix.identity());
            row.put("endpoint", prefix.endpoint());
        }
        return rows;
    }

    /** The names that the last daemon had learned, with the identities of the last policy. */
    JsonNode names(final Console console) {
        final ArrayNode rows = JsonNodeFactory.instance.arrayNode();
        final Map<Cidr, Integer> identities = new HashMap<>();
        for (final PrefixRow prefix : read(console, Which.PREFIXES).prefixes()) {
            identities.put(prefix.prefix(), prefix.identity());
        }
        for (final NameRow name : read(console, Which.NAMES).names()) {
            final ObjectNode row = rows.addObject();
            row.put("name", name.name());
            row.put("address", name.address().toString());
            row.put("identity", identities.getOrDefault(Cidr.host(name.address()), 0));
            row.put("endpoint", name.endpoint());
            row.put("learnedAt", name.learnedAt().toString());
            row.put("expiresAt", name.expiresAt().toString());
            row.put("state", name.zombie() ? "zombie" : "live");
        }
        return rows;
    }

    private StateTables read(final Console console, final Which which) {
        try {
            final StateTables tables = StateTables.read(folder(), which);
            tables.notes().forEach(console::note);
            return tables;
        } catch (final StateException | IOException e) {
            throw CommandError.no(String.valueOf(e.getMessage()));
        }
    }
}
