@NullMarked
package io.sluice.control.agent;

import org.jspecify.annotations.NullMarked;
