/**
 * Kafka: requests judged one by one, denied in the protocol's own words. Read {@link
 * io.sluice.l7proxy.kafka.KafkaConversation} first.
 */
@NullMarked
package io.sluice.l7proxy.kafka;

import org.jspecify.annotations.NullMarked;
