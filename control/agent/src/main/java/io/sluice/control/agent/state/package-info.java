@NullMarked
package io.sluice.control.agent.state;

import org.jspecify.annotations.NullMarked;
