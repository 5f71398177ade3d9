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
                        "io.sluice.control.agent.api..",
                        "io.sluice.control.agent.hubble..",
                        "io.netty..",
                        "com.fasterxml..")
                .check(AGENT);
    }

    /** Its classes are loaded when the first client comes, and not before. */
    @Test
    void gRpcIsKnownInOnePlace() {
        noClasses()
                .that()
                .resideOutsideOfPackage("io.sluice.control.agent.hubble..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("io.grpc..", "com.google.protobuf..")
                .check(AGENT);
        noClasses()
                .that()
                .haveNameMatching(".*\\.HubbleServer(\\$.*)?")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("io.grpc..", "com.google.protobuf..", "io.netty..")
                .check(AGENT);
    }

    /** Its client's classes are loaded for an export to a topic, and not without one. */
    @Test
    void kafkasClientIsKnownInOnePlace() {
        noClasses()
                .that()
                .haveNameNotMatching(".*\\.export\\.Kafka[A-Za-z]+(\\$.*)?")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("org.apache.kafka..")
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
