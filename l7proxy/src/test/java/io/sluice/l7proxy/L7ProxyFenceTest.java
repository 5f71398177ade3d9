package io.sluice.l7proxy;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.Test;

/** What this module may not lean on. */
final class L7ProxyFenceTest {
    private static final JavaClasses RULES =
            new ClassFileImporter()
                    .withImportOption(new ImportOption.DoNotIncludeTests())
                    .importPackages("io.sluice.l7proxy.rule");

    private static final JavaClasses MODULE =
            new ClassFileImporter()
                    .withImportOption(new ImportOption.DoNotIncludeTests())
                    .importPackages("io.sluice.l7proxy");

    /** Flow facts come, and answers go, through interfaces that this module owns. */
    @Test
    void theModuleKnowsNoOtherOfOurs() {
        noClasses()
                .should()
                .dependOnClassesThat(
                        JavaClass.Predicates.resideInAPackage("io.sluice..")
                                .and(
                                        DescribedPredicate.not(
                                                JavaClass.Predicates.resideInAPackage(
                                                        "io.sluice.l7proxy.."))))
                .check(MODULE);
    }

    @Test
    void protocolsKnowTheProxyAndNotEachOther() {
        slices().matching("io.sluice.(l7proxy..)").should().beFreeOfCycles().check(MODULE);
        noClasses()
                .that()
                .resideInAPackage("io.sluice.l7proxy")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(
                        "io.sluice.l7proxy.http..",
                        "io.sluice.l7proxy.http2..",
                        "io.sluice.l7proxy.kafka..",
                        "io.sluice.l7proxy.tls..")
                .check(MODULE);
        noClasses()
                .that()
                .resideInAPackage("io.sluice.l7proxy.http..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("io.sluice.l7proxy.tls..")
                .check(MODULE);
    }

    /** Its schemas are behind two classes: Kafka's clients are large, and may change. */
    @Test
    void onlyTheReadersOfKafkaKnowItsLibrary() {
        noClasses()
                .that()
                .haveNameNotMatching(
                        "io\\.sluice\\.l7proxy\\.kafka\\.(ReadRequest|MetadataReader)(\\$.*)?")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("org.apache.kafka..")
                .check(MODULE);
    }

    /** Time is the event loop's; a thread that waits would hold up every connection of its loop. */
    @Test
    void eventLoopsNeitherWaitNorReadOtherClocks() {
        noClasses()
                .should()
                .callMethod(System.class, "nanoTime")
                .orShould()
                .callMethod(System.class, "currentTimeMillis")
                .orShould()
                .callMethod(Thread.class, "sleep", long.class)
                .orShould()
                .dependOnClassesThat()
                .resideInAPackage("java.util.concurrent.locks..")
                .check(MODULE);
    }

    /**
     * HTTP/1.1 is read by our own parser: what two parsers read differently is a way past policy.
     * Of HTTP/2 Netty reads frames and header tables, and no more.
     */
    @Test
    void nettysHttpCodecIsNotNear() {
        noClasses()
                .that()
                .resideOutsideOfPackage("io.sluice.l7proxy.http2..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("io.netty.handler.codec.http2..")
                .check(MODULE);
        noClasses()
                .should()
                .dependOnClassesThat()
                .resideInAPackage("io.netty.handler.codec.http")
                .check(MODULE);
    }

    /** Conversations get and give plain bytes, whatever the legs speak. */
    @Test
    void protocolsDoNotKnowThatTlsMayBeBelowThem() {
        noClasses()
                .that()
                .resideInAnyPackage("io.sluice.l7proxy.http..", "io.sluice.l7proxy.rule..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("io.netty.handler..")
                .check(MODULE);
        noClasses()
                .that()
                .resideInAPackage("io.sluice.l7proxy.http2..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("io.netty.handler.ssl..")
                .check(MODULE);
    }

    @Test
    void rulesNeedNothingButTheJdkAndRe2() {
        classes()
                .should()
                .onlyDependOnClassesThat()
                .resideInAnyPackage(
                        "io.sluice.l7proxy.rule",
                        "com.google.re2j",
                        "java.lang..",
                        "java.nio",
                        "java.nio.charset",
                        "java.security",
                        "java.util",
                        "java.util.function",
                        "java.util.stream",
                        "org.jspecify..")
                .check(RULES);
    }

    @Test
    void noRegularExpressionEngineThatBacktracksIsNear() {
        noClasses()
                .should()
                .dependOnClassesThat()
                .resideInAPackage("java.util.regex..")
                .check(RULES);
    }
}
