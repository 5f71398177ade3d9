package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class L7ProxyTest {
    @ParameterizedTest
    @CsvSource({"16384, 1048576, 16384", "16384, 20000, 9488", "5, 100, 1"})
    void thereAreNoMorePlacesThanDescriptors(
            final int wanted, final long descriptors, final int places) {
        assertThat(L7Proxy.places(wanted, descriptors)).isEqualTo(places);
    }
}
