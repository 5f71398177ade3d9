package io.sluice.dataplane;

/** The same where each packet of a flow may be another lane's. */
class RedirectByLanesTest extends RedirectTest {
    @Override
    int lanes() {
        return 3;
    }
}
