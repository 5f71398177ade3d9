@NullMarked
package io.sluice.conntrack;

import org.jspecify.annotations.NullMarked;
