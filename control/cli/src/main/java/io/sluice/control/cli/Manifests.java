package io.sluice.control.cli;

import io.sluice.control.agent.ManifestFiles;
import java.io.IOException;
import java.io.Reader;
import java.nio.charset.MalformedInputException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Option;

/**
 * The option {@code -f}: texts of files, of every {@code .yaml}, {@code .yml} and {@code .json}
 * file in and below folders (as {@link ManifestFiles} says, in the order of their paths), and of
 * standard input.
 */
final class Manifests {
    @Option(
            names = {"-f", "--filename"},
            paramLabel = "PATH",
            arity = "1..*",
            description =
                    "Manifests: files, folders (with the folders in them), or - for standard"
                            + " input. May be given several times.")
    private List<String> paths = new ArrayList<>();

    Manifests() {}

    /**
     * One text.
     *
     * @param name as the user gave it, for messages
     */
    record Text(String name, String content) {}

    boolean isGiven() {
        return !paths.isEmpty();
    }

    List<String> paths() {
        return List.copyOf(paths);
    }

    /** The paths, of which there must be one. */
    List<String> required() {
        if (paths.isEmpty()) {
            throw CommandError.usage("-f: missing: files, folders, or - for standard input");
        }
        return paths();
    }

    List<Text> read(final Console console) {
        return read(required(), console);
    }

    /** Texts of paths that a command takes otherwise than by {@code -f}. */
    static List<Text> read(final List<String> paths, final Console console) {
        final List<Text> texts = new ArrayList<>();
        paths.forEach(path -> texts.addAll(textsOf(path, console)));
        return texts;
    }

    /** The texts that one path means. */
    static List<Text> textsOf(final String path, final Console console) {
        if (path.equals("-")) {
            return List.of(new Text("-", standardInput(console)));
        }
        final List<Text> texts = new ArrayList<>();
        for (final Path file : files(Path.of(path))) {
            texts.add(new Text(file.toString(), content(file)));
        }
        return texts;
    }

    static String standardInput(final Console console) {
        try {
            return new String(console.in().readAllBytes(), StandardCharsets.UTF_8);
        } catch (final IOException e) {
            throw CommandError.usage("-: cannot be read: " + e.getMessage());
        }
    }

    static String content(final Path file) {
        try {
            return Files.readString(file);
        } catch (final IOException e) {
            throw unreadable(file.toString(), e);
        }
    }

    /** As {@link #content}, for a text that need not fit into memory. */
    static Reader reader(final Path file) {
        try {
            return Files.newBufferedReader(file);
        } catch (final IOException e) {
            throw unreadable(file.toString(), e);
        }
    }

    static CommandError unreadable(final String file, final IOException reason) {
        return CommandError.usage(
                file
                        + switch (reason) {
                            case MalformedInputException _ -> ": not text in UTF-8";
                            case NoSuchFileException _ -> ": no such file or folder";
                            default -> ": cannot be read: " + reason.getMessage();
                        });
    }

    private static List<Path> files(final Path path) {
        if (!Files.isDirectory(path)) {
            return List.of(path);
        }
        final List<Path> found;
        try {
            found = List.copyOf(ManifestFiles.of(path).manifests());
        } catch (final IOException e) {
            throw CommandError.usage(path + ": cannot be read: " + e.getMessage());
        }
        if (found.isEmpty()) {
            throw CommandError.usage(path + ": no .yaml, .yml or .json file in this folder");
        }
        return found;
    }
}
