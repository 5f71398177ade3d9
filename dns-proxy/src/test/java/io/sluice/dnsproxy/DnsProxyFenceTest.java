package io.sluice.dnsproxy;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.Test;

/** What this module may not lean on. */
final class DnsProxyFenceTest {
    private static final JavaClasses CLASSES =
            new ClassFileImporter()
                    .withImportOption(new ImportOption.DoNotIncludeTests())
                    .importPackages("io.sluice.dnsproxy");

    @Test
    void rulesNeedNothingButTheJdkAndThereNothingThatReadsOrRuns() {
        classes()
                .that()
                .resideInAPackage("io.sluice.dnsproxy.rule")
                .should()
                .onlyDependOnClassesThat()
                .resideInAnyPackage(
                        "io.sluice.dnsproxy.rule", "java.lang..", "java.util", "org.jspecify..")
                .check(CLASSES);
    }

    @Test
    void theWayOfAMessageThroughTheProxyHasNoLibraryNoSocketAndNoClockOfItsOwn() {
        noClasses()
                .that()
                .resideOutsideOfPackage("io.sluice.dnsproxy.resolver")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("org.xbill..", "io.netty..", "java.io", "java.time..")
                .orShould()
                .callMethod(System.class, "nanoTime")
                .orShould()
                .callMethod(System.class, "currentTimeMillis")
                .check(CLASSES);
    }

    @Test
    void nothingOfTheSwitchIsKnownHere() {
        noClasses()
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("io.sluice.dataplane..", "io.sluice.control..")
                .check(CLASSES);
    }

    @Test
    void packagesHaveNoCycles() {
        slices().matching("io.sluice.dnsproxy.(*)..").should().beFreeOfCycles().check(CLASSES);
    }
}
