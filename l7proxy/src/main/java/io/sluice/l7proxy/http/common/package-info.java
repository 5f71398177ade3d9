/**
 * What the versions of HTTP share: the judge, the classes of bytes, which edits can be done. Pure.
 */
@NullMarked
package io.sluice.l7proxy.http.common;

import org.jspecify.annotations.NullMarked;
