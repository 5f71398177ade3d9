package io.sluice.control.policy;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.Test;

final class PolicyModuleFenceTest {
    private static final JavaClasses CLASSES =
            new ClassFileImporter()
                    .withImportOption(new ImportOption.DoNotIncludeTests())
                    .importPackages("io.sluice.control.policy");

    @Test
    void policyKnowsOfOtherModulesOnlyRulesAndNoLibraryButTheYamlReader() {
        classes()
                .should()
                .onlyDependOnClassesThat()
                .resideInAnyPackage(
                        "io.sluice.control.policy..",
                        "io.sluice.l7proxy.rule..",
                        // Keys of Secrets are checked, and made ready, when a policy is compiled.
                        "io.sluice.l7proxy.tls",
                        "io.sluice.dnsproxy.rule..",
                        "java..",
                        "org.jspecify..",
                        "org.snakeyaml.engine..")
                .check(CLASSES);
    }

    /**
     * What a Secret's keys are worth is the proxy's to say; one class asks, one hears the answer.
     */
    @Test
    void onlyTheReaderOfKeysKnowsTheProxysTls() {
        noClasses()
                .that()
                .haveNameNotMatching(".*\\.(TlsSecrets|CiliumPolicyTranslator)(\\$.*)?")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("io.sluice.l7proxy.tls")
                .check(CLASSES);
    }

    @Test
    void onlyTheReaderOfTextKnowsTheYamlLibrary() {
        noClasses()
                .that()
                .haveNameNotMatching(".*\\.(YamlText|Fields)(\\$.*)?")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("org.snakeyaml.engine..")
                .check(CLASSES);
    }

    @Test
    void policyDoesNoInputOutputAndStartsNoThreads() {
        noClasses()
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(
                        "java.io..",
                        "java.nio.file..",
                        "java.nio.channels..",
                        "java.util.concurrent..")
                .orShould()
                .dependOnClassesThat()
                .areAssignableTo(Thread.class)
                .check(CLASSES);
    }
}
