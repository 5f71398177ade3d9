@NullMarked
package io.sluice.dnsproxy;

import org.jspecify.annotations.NullMarked;
