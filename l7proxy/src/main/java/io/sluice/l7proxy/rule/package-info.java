/**
 * What a request must look like: compiled from policy, pure and immutable. Policy answers from
 * these types offline, the proxies judge live requests by the same ones.
 */
@NullMarked
package io.sluice.l7proxy.rule;

import org.jspecify.annotations.NullMarked;
