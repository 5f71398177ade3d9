/**
 * Flows for other programs, as lines of JSON: {@link io.sluice.control.agent.export.FlowExporter}.
 */
@NullMarked
package io.sluice.control.agent.export;

import org.jspecify.annotations.NullMarked;
