package io.sluice.conntrack;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.belongToAnyOf;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.io.IOException;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** What this module may not lean on. */
final class ConntrackFenceTest {
    private static final JavaClasses CLASSES =
            new ClassFileImporter()
                    .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
                    .importPackages("io.sluice.conntrack");

    @Test
    void itNeedsNothingButTheJdkAndThereNothingThatStreamsOrBlocksExceptFiles() {
        classes()
                .should()
                .onlyDependOnClassesThat(
                        resideInAnyPackage(
                                        "io.sluice.conntrack",
                                        "java.lang",
                                        "java.lang.foreign",
                                        "java.lang.invoke",
                                        "java.lang.runtime",
                                        "java.nio..",
                                        "java.util.function",
                                        "org.jspecify.annotations")
                                .or(
                                        belongToAnyOf(
                                                TimeUnit.class,
                                                IOException.class,
                                                Optional.class,
                                                Set.class)))
                .check(CLASSES);
    }

    @Test
    void timeAndSettingsAreHandedIn() {
        noClasses()
                .should()
                .accessClassesThat()
                .areAssignableTo(System.class)
                .because("the lane hands in its clock, control the configuration")
                .check(CLASSES);
    }
}
