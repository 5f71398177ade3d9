@NullMarked
package io.sluice.dataplane.table;

import org.jspecify.annotations.NullMarked;
