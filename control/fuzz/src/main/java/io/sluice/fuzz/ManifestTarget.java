package io.sluice.fuzz;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.sluice.control.policy.IdentityAllocator;
import io.sluice.control.policy.ManifestReader;
import io.sluice.control.policy.PolicyCompiler;
import io.sluice.control.policy.PolicyOptions;
import io.sluice.control.policy.Problem;
import io.sluice.control.policy.ReadResult;
import io.sluice.control.policy.World;

/** Manifests, YAML or JSON: what is read without an error can be compiled. */
public final class ManifestTarget {
    private static final int PROBLEM_COUNT_MAX = 2_002;

    /** A field and a message of 4,000 characters, each of them escaped as eight. */
    private static final int PROBLEM_LENGTH_MAX = 64_000;

    private ManifestTarget() {}

    /** Jazzer's entry. */
    public static void fuzzerTestOneInput(final byte[] input) {
        final String text = new String(input, UTF_8);
        final ReadResult read = ManifestReader.read("f", text);
        Promise.holds(read.equals(ManifestReader.read("f", text)), "reads alike twice", read);
        Promise.holds(
                read.problems().size() <= PROBLEM_COUNT_MAX,
                "problems are bounded",
                read.problems().size());
        for (final Problem problem : read.problems()) {
            final String line = problem.toString();
            Promise.holds(line.length() <= PROBLEM_LENGTH_MAX, "is of bounded length", line);
            Promise.holds(
                    line.chars().noneMatch(Character::isISOControl), "is one printable line", line);
        }
        if (!read.hasErrors()) {
            final World world = World.of(read.objects());
            PolicyCompiler.compile(world, new IdentityAllocator(), PolicyOptions.DEFAULTS);
        }
    }
}
