@NullMarked
package io.sluice.dataplane.linux;

import org.jspecify.annotations.NullMarked;
