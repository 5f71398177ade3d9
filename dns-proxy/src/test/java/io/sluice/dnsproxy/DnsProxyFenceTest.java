package io.sluice.dnsproxy;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;

import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.Test;

/** What this module may not lean on. */
final class DnsProxyFenceTest {
    @Test
    void rulesNeedNothingButTheJdkAndThereNothingThatReadsOrRuns() {
        classes()
                .should()
                .onlyDependOnClassesThat()
                .resideInAnyPackage(
                        "io.sluice.dnsproxy.rule", "java.lang..", "java.util", "org.jspecify..")
                .check(
                        new ClassFileImporter()
                                .withImportOption(new ImportOption.DoNotIncludeTests())
                                .importPackages("io.sluice.dnsproxy.rule"));
    }
}
