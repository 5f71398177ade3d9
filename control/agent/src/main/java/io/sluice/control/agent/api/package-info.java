@NullMarked
package io.sluice.control.agent.api;

import org.jspecify.annotations.NullMarked;
