/** The resolver that plays {@code kube-system/kube-dns}. */
@NullMarked
package io.sluice.dnsproxy.resolver;

import org.jspecify.annotations.NullMarked;
