package io.sluice.l7proxy;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.util.ResourceLeakDetector;
import io.netty.util.ResourceLeakDetectorFactory;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/** Fails a test class in which a buffer was collected without having been released. */
public final class LeakCheck implements BeforeAllCallback, AfterAllCallback {
    private static final List<String> LEAKS = new CopyOnWriteArrayList<>();

    /** The detector looks at its queue when a buffer is made; a few rounds of the collector. */
    private static final int ROUNDS = 3;

    static {
        ResourceLeakDetectorFactory.setResourceLeakDetectorFactory(
                new ResourceLeakDetectorFactory() {
                    @Override
                    @SuppressWarnings("deprecation") // The abstract method that there is.
                    public <T> ResourceLeakDetector<T> newResourceLeakDetector(
                            final Class<T> resource,
                            final int samplingInterval,
                            final long maxActive) {
                        return new ResourceLeakDetector<T>(resource, samplingInterval) {
                            @Override
                            protected void reportTracedLeak(
                                    final String type, final String records) {
                                LEAKS.add(type + records);
                            }

                            @Override
                            protected void reportUntracedLeak(final String type) {
                                LEAKS.add(type);
                            }
                        };
                    }
                });
    }

    @Override
    public void beforeAll(final ExtensionContext context) {
        LEAKS.clear();
    }

    @Override
    public void afterAll(final ExtensionContext context) {
        for (int i = 0; i < ROUNDS; i++) {
            System.gc();
            final ByteBuf fresh = ByteBufAllocator.DEFAULT.buffer(16);
            fresh.release();
        }
        assertThat(LEAKS).isEmpty();
    }
}
