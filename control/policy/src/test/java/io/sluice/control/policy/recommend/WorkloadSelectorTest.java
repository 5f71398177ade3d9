package io.sluice.control.policy.recommend;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

final class WorkloadSelectorTest {
    private static final Workload WEB = workload(Map.of("app", "web", "team", "a"));

    private static Workload workload(final Map<String, String> labels) {
        return new Workload("shop", new TreeMap<>(labels));
    }

    private static String selector(final Workload workload, final Workload... others) {
        return WorkloadSelector.of(workload, List.of(others)).toString();
    }

    @Test
    void theLabelThatNamesItIsEnoughWhereNobodyElseHasIt() {
        assertThat(selector(WEB, workload(Map.of("app", "db", "team", "a")))).isEqualTo("app=web");
    }

    @Test
    void moreLabelsLeaveOutThoseWhoShareIt() {
        assertThat(selector(WEB, workload(Map.of("app", "web", "team", "b"))))
                .isEqualTo("app=web,team=a");
    }

    @Test
    void whoHasAllItsLabelsAndMoreIsLeftOutByWhatItDoesNotHave() {
        assertThat(selector(WEB, workload(Map.of("app", "web", "team", "a", "track", "canary"))))
                .isEqualTo("app=web,!track");
        assertThat(selector(workload(Map.of()), WEB)).isEqualTo("!app");
    }

    @Test
    void otherNamespacesDoNotMatter() {
        assertThat(
                        WorkloadSelector.of(
                                        WEB,
                                        List.of(
                                                new Workload(
                                                        "other",
                                                        new TreeMap<>(Map.of("app", "web")))))
                                .toString())
                .isEqualTo("app=web");
        assertThat(selector(workload(Map.of()))).isEqualTo("all pods");
    }
}
