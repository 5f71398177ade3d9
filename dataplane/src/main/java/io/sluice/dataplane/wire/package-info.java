@NullMarked
package io.sluice.dataplane.wire;

import org.jspecify.annotations.NullMarked;
