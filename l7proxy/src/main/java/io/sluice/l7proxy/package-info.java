@NullMarked
package io.sluice.l7proxy;

import org.jspecify.annotations.NullMarked;
