package io.sluice.conntrack;

import static io.sluice.conntrack.Conversation.UDP;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Random;

/** A process of its own that changes a table until it is killed. */
final class TableHammer {
    static final long NOW_NS = Conversation.START_NS;

    private static final int CAPACITY = 1024;
    private static final int NUMBERS = 900;

    private TableHammer() {}

    static Conntrack open(final Path file) throws IOException {
        return Conntrack.open(
                ConntrackLimitsTest.capacity(CAPACITY), 5, file, "the test's boot", NOW_NS);
    }

    /** Arguments: the file and the seed. */
    public static void main(final String[] arguments) throws IOException {
        final Conntrack table = open(Path.of(arguments[0]));
        final Random random = new Random(Integer.parseInt(arguments[1]));
        for (int i = 0; i < 5_000; i++) {
            change(table, random);
        }
        System.out.print('!');
        System.out.flush();
        while (true) {
            change(table, random);
        }
    }

    private static void change(final Conntrack table, final Random random) {
        final int number = random.nextInt(NUMBERS);
        final boolean isIpv4 = random.nextBoolean();
        final Tuple tuple =
                isIpv4
                        ? Conversation.ipv4(UDP, 0x0a00_0000 | number, 1, 0x0b00_0000 | number, 2)
                        : Conversation.tuple(UDP, 1, number, 1, 2, number, 2);
        final ConntrackState state = table.lookup(tuple, 0, NOW_NS);
        if (state == ConntrackState.NEW) {
            table.create(tuple, 0, NOW_NS);
            table.entry().recordSides(number, number, number, number);
            table.entry().recordVerdict(FlowVerdict.REDIRECT, number + 1, 0, number);
            table.advance(ConntrackState.NEW, 0, 1000, 1, NOW_NS);
        } else if (random.nextInt(4) == 0) {
            table.close(table.entry());
        } else {
            table.advance(ConntrackState.ESTABLISHED, 0, 64_000, 64, NOW_NS);
        }
    }
}
