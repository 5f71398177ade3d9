@NullMarked
package io.sluice.control.policy;

import org.jspecify.annotations.NullMarked;
