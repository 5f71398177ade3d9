@NullMarked
package io.sluice.dataplane;

import org.jspecify.annotations.NullMarked;
