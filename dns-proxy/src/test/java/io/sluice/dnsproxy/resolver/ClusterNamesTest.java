package io.sluice.dnsproxy.resolver;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.xbill.DNS.DClass;
import org.xbill.DNS.Flags;
import org.xbill.DNS.Message;
import org.xbill.DNS.Name;
import org.xbill.DNS.Rcode;
import org.xbill.DNS.Record;
import org.xbill.DNS.SOARecord;
import org.xbill.DNS.Section;
import org.xbill.DNS.Type;

/** Names of the cluster, as its specification spells them. */
final class ClusterNamesTest {
    private final ClusterNames names = new ClusterNames(new ShopWorld(), "cluster.local");

    private @Nullable Message ask(final String name, final String type) throws IOException {
        return names.answer(
                Message.newQuery(
                        Record.newRecord(Name.fromString(name), Type.value(type), DClass.IN)));
    }

    private static String data(final Message answer, final int section) {
        return answer.getSection(section).stream()
                .map(Record::rdataToString)
                .collect(Collectors.joining("; "));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '"',
            nullValues = "-",
            textBlock =
                    """
                    web.shop.svc.cluster.local.             | A    | NOERROR  | 10.96.0.20
                    WEB.Shop.svc.CLUSTER.local.             | A    | NOERROR  | 10.96.0.20
                    web.shop.svc.cluster.local.             | AAAA | NOERROR  | fd00:96:0:0:0:0:0:20
                    web.shop.svc.cluster.local.             | MX   | NOERROR  | -
                    db.shop.svc.cluster.local.              | A    | NOERROR  | 10.244.0.31; 10.244.0.32; 10.244.0.33
                    db.shop.svc.cluster.local.              | AAAA | NOERROR  | fd00:244:0:0:0:0:0:33
                    db-1.db.shop.svc.cluster.local.         | A    | NOERROR  | 10.244.0.32
                    db-1.db.shop.svc.cluster.local.         | AAAA | NOERROR  | -
                    db-2.db.shop.svc.cluster.local.         | A    | NXDOMAIN | -
                    10-244-0-33.db.shop.svc.cluster.local.  | A    | NOERROR  | 10.244.0.33
                    empty.shop.svc.cluster.local.           | A    | NOERROR  | -
                    none.shop.svc.cluster.local.            | A    | NXDOMAIN | -
                    web.none.svc.cluster.local.             | A    | NXDOMAIN | -
                    a.b.c.web.shop.svc.cluster.local.       | A    | NXDOMAIN | -
                    shop.svc.cluster.local.                 | A    | NOERROR  | -
                    none.svc.cluster.local.                 | A    | NXDOMAIN | -
                    svc.cluster.local.                      | A    | NOERROR  | -
                    pod.cluster.local.                      | A    | NOERROR  | -
                    cluster.local.                          | A    | NOERROR  | -
                    example.com.svc.cluster.local.          | A    | NXDOMAIN | -
                    example.com.shop.svc.cluster.local.     | A    | NXDOMAIN | -
                    example.com.cluster.local.              | AAAA | NXDOMAIN | -
                    _http._tcp.web.shop.svc.cluster.local.  | SRV  | NOERROR  | 0 100 80 web.shop.svc.cluster.local.
                    _http._udp.web.shop.svc.cluster.local.  | SRV  | NOERROR  | 0 100 443 web.shop.svc.cluster.local.
                    _http._tcp.web.shop.svc.cluster.local.  | A    | NOERROR  | -
                    _sql._udp.db.shop.svc.cluster.local.    | SRV  | NXDOMAIN | -
                    _tcp.web.shop.svc.cluster.local.        | A    | NOERROR  | -
                    10-244-0-31.shop.pod.cluster.local.     | A    | NOERROR  | 10.244.0.31
                    fd00-244--33.shop.pod.cluster.local.    | AAAA | NOERROR  | fd00:244:0:0:0:0:0:33
                    10-244-0-99.shop.pod.cluster.local.     | A    | NXDOMAIN | -
                    10-244-0-31.none.pod.cluster.local.     | A    | NXDOMAIN | -
                    not-an-address.shop.pod.cluster.local.  | A    | NXDOMAIN | -
                    20.0.96.10.in-addr.arpa.                | PTR  | NOERROR  | web.shop.svc.cluster.local.
                    31.0.244.10.in-addr.arpa.               | PTR  | NOERROR  | db-0.db.shop.svc.cluster.local.
                    20.0.96.10.in-addr.arpa.                | A    | NOERROR  | -
                    21.0.96.10.in-addr.arpa.                | PTR  | NXDOMAIN | -
                    0.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.0.d.f.ip6.arpa. | PTR | NOERROR | web.shop.svc.cluster.local.
                    """)
    void answers(
            final String name, final String type, final String rcode, final @Nullable String data)
            throws IOException {
        final Message answer = ask(name, type);
        assertThat(answer).isNotNull();
        assertThat(Rcode.string(answer.getRcode())).isEqualTo(rcode);
        assertThat(data(answer, Section.ANSWER)).isEqualTo(data == null ? "" : data);
        assertThat(answer.getHeader().getFlag(Flags.AA)).isTrue();
        assertThat(answer.getQuestion().getName()).hasToString(name);
        if (data == null) {
            final SOARecord soa = (SOARecord) answer.getSection(Section.AUTHORITY).getFirst();
            assertThat(soa.getName()).hasToString("cluster.local.");
            assertThat(soa.getMinimum()).isEqualTo(ClusterNames.TTL_SECONDS);
        }
    }

    @Test
    void aHeadlessPortHasATargetForEachPod() throws IOException {
        final Message answer = ask("_sql._tcp.db.shop.svc.cluster.local.", "SRV");
        assertThat(answer).isNotNull();
        assertThat(data(answer, Section.ANSWER))
                .isEqualTo(
                        "0 100 5432 db-0.db.shop.svc.cluster.local.;"
                                + " 0 100 5432 db-1.db.shop.svc.cluster.local.;"
                                + " 0 100 5432 10-244-0-33.db.shop.svc.cluster.local.;"
                                + " 0 100 5432 fd00-244--33.db.shop.svc.cluster.local.");
        assertThat(data(answer, Section.ADDITIONAL))
                .isEqualTo("10.244.0.31; 10.244.0.32; 10.244.0.33; fd00:244:0:0:0:0:0:33");
    }

    @ParameterizedTest
    @CsvSource({
        "example.com., A",
        "local., A",
        "notcluster.local., A",
        "1.2.0.192.in-addr.arpa., PTR",
        "96.10.in-addr.arpa., PTR",
        "x.0.96.10.in-addr.arpa., PTR",
        "300.0.96.10.in-addr.arpa., PTR"
    })
    void theRestIsSomebodyElses(final String name, final String type) throws IOException {
        assertThat(ask(name, type)).isNull();
    }
}
