package io.sluice.l7proxy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.sluice.l7proxy.http.HttpLimits;
import io.sluice.l7proxy.http2.Http2Limits;
import java.lang.reflect.RecordComponent;
import java.time.Duration;
import org.junit.jupiter.api.Test;

/** Settings: defaults, and what is refused. */
final class ConfigTest {
    @Test
    void defaultsAreWhatTheReadmeSays() {
        final ProxyConfig config = ProxyConfig.DEFAULTS;
        assertThat(config.transport()).isEqualTo(Transport.EPOLL);
        assertThat(config.loops()).isEqualTo(1);
        assertThat(config.addressing()).isEqualTo(ProxyConfig.Addressing.TRANSPARENT);
        assertThat(config.connectionsMax()).isEqualTo(16_384);
        assertThat(config.connectTimeout()).isEqualTo(Duration.ofSeconds(5));
        assertThat(config.idleTimeout()).isEqualTo(Duration.ofHours(1));
        assertThat(config.headTimeout()).isEqualTo(Duration.ofSeconds(10));
        assertThat(config.lingerTimeout()).isEqualTo(Duration.ofSeconds(2));
        assertThat(HttpLimits.DEFAULTS)
                .isEqualTo(new HttpLimits(65_536, 200, 8_192, 4_096, 64, 65_536));
        assertThat(Http2Limits.DEFAULTS)
                .isEqualTo(
                        new Http2Limits(
                                100, 65_536, 200, 64, 131_072, 524_288, 1_000, 1_000, 100_000,
                                1_000, 10_000));
    }

    /** Each number and time in turn, just outside of its range. */
    @Test
    void whatIsOutOfRangeIsRefusedByName() throws Exception {
        refusesEach(ProxyConfig.class, ProxyConfig.DEFAULTS);
        refusesEach(HttpLimits.class, HttpLimits.DEFAULTS);
        refusesEach(Http2Limits.class, Http2Limits.DEFAULTS);
    }

    private static void refusesEach(final Class<? extends Record> type, final Record defaults)
            throws Exception {
        final RecordComponent[] components = type.getRecordComponents();
        final Class<?>[] types = new Class<?>[components.length];
        final Object[] values = new Object[components.length];
        for (int i = 0; i < components.length; i++) {
            types[i] = components[i].getType();
            values[i] = components[i].getAccessor().invoke(defaults);
        }
        for (int i = 0; i < components.length; i++) {
            final Object kept = values[i];
            if (!types[i].isEnum()) {
                values[i] = outOfRange(types[i]);
                assertThatIllegalArgumentException()
                        .isThrownBy(
                                () -> {
                                    try {
                                        type.getDeclaredConstructor(types).newInstance(values);
                                    } catch (final java.lang.reflect.InvocationTargetException e) {
                                        throw e.getCause();
                                    }
                                })
                        .withMessageStartingWith(components[i].getName() + " ")
                        .withMessageContaining("accepted: ");
            }
            values[i] = kept;
        }
    }

    private static Object outOfRange(final Class<?> type) {
        if (type == int.class) {
            return -1;
        }
        return type == long.class ? (Object) Long.valueOf(-1) : Duration.ZERO;
    }
}
