@NullMarked
package io.sluice.control.cli;

import org.jspecify.annotations.NullMarked;
