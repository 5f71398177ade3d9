/** What a name must look like: compiled from policy, pure and immutable. */
@NullMarked
package io.sluice.dnsproxy.rule;

import org.jspecify.annotations.NullMarked;
