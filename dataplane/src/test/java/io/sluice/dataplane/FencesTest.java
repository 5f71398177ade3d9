package io.sluice.dataplane;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

/**
 * Each fence is one line of intent; the reasons are in docs/decisions and the style of the house.
 */
class FencesTest {
    private static final JavaClasses CLASSES =
            new ClassFileImporter()
                    .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
                    .importPackages("io.sluice.dataplane");

    private static final String[] PACKET_PATH = {
        "io.sluice.dataplane", "io.sluice.dataplane.wire", "io.sluice.dataplane.table"
    };

    @Test
    void headerBytesAreReadInOnePlace() {
        noClasses()
                .that()
                .resideInAPackage("io.sluice.dataplane")
                .should()
                .callMethodWhere(
                        com.tngtech.archunit.core.domain.JavaCall.Predicates.target(
                                        com.tngtech.archunit.core.domain.properties.HasOwner
                                                .Predicates.With.owner(
                                                com.tngtech.archunit.core.domain.JavaClass
                                                        .Predicates.assignableTo(
                                                        MemorySegment.class)))
                                .and(
                                        com.tngtech.archunit.core.domain.JavaCall.Predicates.target(
                                                com.tngtech.archunit.core.domain.properties.HasName
                                                        .Predicates.nameMatching("(get|set).*"))))
                .because("only dataplane.wire knows byte offsets")
                .check(CLASSES);
    }

    @Test
    void timeComesFromTheLoop() {
        noClasses()
                .should()
                .callMethod(System.class, "nanoTime")
                .orShould()
                .callMethod(System.class, "currentTimeMillis")
                .because("the clock is handed in")
                .check(CLASSES);
    }

    @Test
    void configurationIsReadInControl() {
        noClasses()
                .should()
                .callMethod(System.class, "getProperty", String.class)
                .orShould()
                .callMethod(System.class, "getenv", String.class)
                .because("configuration is read in one place, in control")
                .check(CLASSES);
    }

    @Test
    void thePacketPathDoesNotBlockOrLogOrTalkToFiles() {
        noClasses()
                .that()
                .resideInAnyPackage(PACKET_PATH)
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(
                        "java.util.concurrent.locks",
                        "java.util.logging",
                        "java.net",
                        "java.io",
                        "java.nio.file")
                .check(CLASSES);
    }

    @Test
    void packagesHaveNoCycles() {
        slices().matching("io.sluice.dataplane.(*)..").should().beFreeOfCycles().check(CLASSES);
    }

    @Test
    void theModuleKnowsOnlyWhatTheArchitectureSays() {
        noClasses()
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(
                        "io.sluice.control..", "io.sluice.l7proxy..", "io.sluice.dnsproxy..")
                .check(CLASSES);
    }
}
