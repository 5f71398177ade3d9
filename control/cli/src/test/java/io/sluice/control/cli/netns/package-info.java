/** The whole daemon as a process, with real network namespaces, servers and clients. */
@NullMarked
package io.sluice.control.cli.netns;

import org.jspecify.annotations.NullMarked;
