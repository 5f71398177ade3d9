package io.sluice.control.cli;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.Test;

/** What keeps the start of a command short and its output in one place. */
final class CliArchitectureTest {
    private static final JavaClasses CLI =
            new ClassFileImporter()
                    .withImportOption(new ImportOption.DoNotIncludeTests())
                    .importPackages("io.sluice.control.cli");

    @Test
    void commandsDoNotLoadNettyOrTheDataPlane() {
        noClasses()
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("io.netty..", "io.sluice.dataplane..", "io.sluice.conntrack..")
                .check(CLI);
    }

    @Test
    void onlyTheConsoleKnowsTheProcessItRunsIn() {
        noClasses()
                .that()
                .doNotHaveSimpleName("Console")
                .should()
                .callMethod(System.class, "getenv", String.class)
                .orShould()
                .accessField(System.class, "out")
                .orShould()
                .accessField(System.class, "err")
                .check(CLI);
    }
}
