@NullMarked
package io.sluice.dataplane.port;

import org.jspecify.annotations.NullMarked;
