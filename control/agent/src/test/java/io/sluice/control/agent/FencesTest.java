package io.sluice.control.agent;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.Test;

class FencesTest {
    private static final JavaClasses AGENT =
            new ClassFileImporter()
                    .withImportOption(new ImportOption.DoNotIncludeTests())
                    .importPackages("io.sluice.control.agent");

    @Test
    void theDaemonDoesNotKnowHowItIsServed() {
        noClasses()
                .that()
                .resideInAPackage("io.sluice.control.agent")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(
                        "io.sluice.control.agent.api..", "io.netty..", "com.fasterxml..")
                .check(AGENT);
    }

    /** Devices, descriptors that pass between processes, and the share of the processors. */
    @Test
    void theKernelIsKnownInFourPlaces() {
        noClasses()
                .that()
                .resideInAPackage("io.sluice.control.agent")
                .and()
                .haveNameNotMatching(".*\\.(TapPorts|HandoverSocket|WarmUp|ProcessorShare)(\\$.*)?")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("io.sluice.dataplane.linux..")
                .check(AGENT);
    }
}
