@NullMarked
package io.sluice.control.agent.flowlog;

import org.jspecify.annotations.NullMarked;
