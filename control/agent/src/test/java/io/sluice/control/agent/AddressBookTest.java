package io.sluice.control.agent;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.sluice.control.policy.Cidr;
import io.sluice.control.policy.IpAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AddressBookTest {
    private static final AddressPool IPV4 =
            new AddressPool(Cidr.parse("10.244.0.0/30").orElseThrow());
    private static final AddressPool IPV6 = new AddressPool(Cidr.parse("fd00::/64").orElseThrow());

    @TempDir private Path folder;

    @Test
    void aPodKeepsItsAddressesOverARestart() throws Exception {
        final AddressBook before = load();
        final Optional<IpAddress> ipv4 = before.assign("shop/a", IPV4, Set.of(), Set.of());
        final Optional<IpAddress> ipv6 = before.assign("shop/a", IPV6, Set.of(), Set.of());
        before.save();

        final AddressBook after = load();

        assertThat(after.assign("shop/b", IPV6, Set.of(), Set.of()).map(IpAddress::toString))
                .contains("fd00::3");
        assertThat(after.assign("shop/a", IPV4, Set.of(), Set.of())).isEqualTo(ipv4);
        assertThat(after.assign("shop/a", IPV6, Set.of(), Set.of())).isEqualTo(ipv6);
        assertThat(file()).hasContent("shop/a 10.244.0.2 fd00::2\n");
    }

    @Test
    void aFullPoolForgetsThePodThatIsGoneButNoneThatIsThere() throws Exception {
        // 10.244.0.0/30 has one address for a pod: .1 is the node's, .3 broadcast.
        final AddressBook book = load();
        final Optional<IpAddress> only = book.assign("shop/a", IPV4, Set.of(), Set.of("shop/a"));

        assertThat(book.assign("shop/b", IPV4, Set.of(), Set.of("shop/a", "shop/b"))).isEmpty();
        assertThat(book.assign("shop/b", IPV4, Set.of(), Set.of("shop/b"))).isEqualTo(only);
        assertThat(book.assign("shop/a", IPV4, Set.of(), Set.of("shop/a", "shop/b"))).isEmpty();
    }

    @Test
    void anAddressThatSomethingElseTookIsReplaced() throws Exception {
        final AddressBook book = load();
        final IpAddress first = book.assign("shop/a", IPV6, Set.of(), Set.of()).orElseThrow();

        assertThat(book.assign("shop/a", IPV6, Set.of(first), Set.of()).map(IpAddress::toString))
                .contains("fd00::3");
    }

    @Test
    void aBrokenBookStopsTheStart() throws Exception {
        Files.writeString(file(), "shop/a 10.244.0.2\nshop/b 10.244.0.x\n");

        assertThatThrownBy(this::load)
                .isInstanceOf(StartupException.class)
                .hasMessage(
                        file()
                                + ":2: \"10.244.0.x\" is not an address: correct or delete the line");
    }

    private AddressBook load() throws StartupException {
        return AddressBook.load(file());
    }

    private Path file() {
        return folder.resolve("addresses");
    }
}
