package io.sluice.l7proxy.kafka;

import io.netty.buffer.ByteBuf;
import io.sluice.l7proxy.Conversation;
import io.sluice.l7proxy.FlowRules;
import io.sluice.l7proxy.L7Event.Verdict;
import io.sluice.l7proxy.Link;
import io.sluice.l7proxy.ProxyCounter;
import io.sluice.l7proxy.kafka.KafkaExchange.Answer;
import io.sluice.l7proxy.kafka.KafkaJudge.Judgement;
import io.sluice.l7proxy.kafka.ReadRequest.Denial;
import io.sluice.l7proxy.rule.KafkaRequest;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * One connection's requests and answers, in the order in which things happen. Read this file first.
 *
 * <pre>
 *   client -> head -> topics -> judge -> forward ->              server
 *                                 |                                |
 *                                 +-> error answer, in its turn    |
 *   client <--- Metadata: learn ids; Fetch: session; others: pass <+
 * </pre>
 *
 * <p><b>Theory of operation.</b> A request is framed by its length, and may pass only when all its
 * topics are known and allowed. Three ways to know them:
 *
 * <ul>
 *   <li><i>Produce</i>: {@link ProduceReader} finds the topics between the records. The request is
 *       held until the last topic's name, then passes as it comes; it is followed to its end, and a
 *       fault in it resets both legs, so a server never gets a malformed one whole.
 *   <li><i>Other APIs</i> whose schemas are known: held until complete, then read as a whole
 *       ({@link ReadRequest}).
 *   <li><i>Unknown</i> APIs and versions, and requests longer than {@link
 *       KafkaLimits#heldBytesMax}: judged by their head, as if about every topic; only rules
 *       without a topic let them pass. ApiVersions of any version has none.
 * </ul>
 *
 * <p>Bytes of allowed requests pass unchanged. Records are never looked at, and copied only when
 * they come before the last topic's name and that comes with a later read.
 *
 * <p><i>Denied</i>: the protocol's error for each topic and partition. Kafka answers a connection's
 * requests in their order, so the queue of exchanges has all requests without an answer, and the
 * proxy's answers wait for their turn. The whole request is denied, as in Cilium, even if only one
 * topic is not allowed; but for Metadata, in which clients ask about all topics that they have ever
 * been asked for: of it the server gets the part that is allowed, and its answer, held until it is
 * complete, gets the errors of the other topics. Where no answer can be built the connection ends
 * in its turn; so it does for a denied Produce that wants no answer (acks 0), as a broker does,
 * since the producer would never know otherwise. <i>Malformed</i>: the connection ends in its turn.
 *
 * <p><i>Topic ids</i> are learned from Metadata answers ({@link TopicIds}), which are held until
 * they are complete, so that a name is known before the client is. An id that is not known is
 * denied with UNKNOWN_TOPIC_ID: clients then ask for Metadata and try again.
 *
 * <p><i>Fetch sessions</i> (KIP-227): a Fetch that goes on with a session fetches topics that only
 * earlier ones named. So the topics of this connection's session are kept and judged each time; one
 * session per connection, which is what clients have. If the session is not known, or has topics
 * that are no longer allowed, the answer is FETCH_SESSION_ID_NOT_FOUND: clients begin again with a
 * Fetch that names all topics, and that is judged by itself.
 *
 * <p><i>Bounds</i>: {@link KafkaLimits}; the client is not read while {@code inFlightMax} requests
 * have no answer, or {@link #PENDING_BYTES_MAX} bytes of our answers wait. The head of a request
 * must be complete in time ({@code headTimeout}), the rest within the idle timeout.
 *
 * <p><i>Server faults</i>: an answer that nobody awaits ends the connection: to the client it would
 * be the answer to something else.
 *
 * <p>Thread: the link's event loop.
 */
final class KafkaConversation implements Conversation {
    /** What the next byte of the client is. */
    private enum Requests {
        /** Part of a head; all of it is in {@code in}. */
        HEAD,
        /** Part of a request that is read as a whole; all of it is in {@code in}. */
        WHOLE,
        /** Part of a Produce request; {@code scanned} bytes of {@code in} have been read. */
        PRODUCE,
        /** Part of a request that passes: {@code passLeft} bytes. */
        PASSING,
        /** Dropped: no request follows. */
        OVER
    }

    /** What becomes of a Produce request's bytes. */
    private enum Produce {
        /** Held. */
        UNDECIDED,
        PASSES,
        DENIED
    }

    /** Our answers that wait for a server's; one may go beyond it. */
    static final int PENDING_BYTES_MAX = 256 * 1024;

    /** Below this a connection holds its bytes whatever the others do: one read. */
    private static final int HELD_BYTES_FREE = 64 * 1024;

    /** Length and correlation id. */
    private static final int ANSWER_HEAD_BYTES = 8;

    /** KIP-482: from this version on a Fetch answer has tagged fields in its head. */
    private static final int FETCH_FLEXIBLE_SINCE = 12;

    private static final int PRODUCE_KEY = 0;

    private final Link link;
    private final KafkaProtocol protocol;
    private final KafkaLimits limits;
    private final Deque<KafkaExchange> exchanges = new ArrayDeque<>(8);

    /** Bytes of the client from the first that has not been passed on or dropped. */
    private @Nullable ByteBuf in;

    private Requests requests = Requests.HEAD;
    private final RequestHead head;
    private final ProduceReader produce;
    private Produce produceFate = Produce.UNDECIDED;
    private boolean isProduceJudged;
    private @Nullable KafkaExchange produceExchange;
    private boolean isProduceUnknownOnly;
    private int scanned;
    private long passLeft;
    private boolean isPaused;
    private boolean isHeadTimed;
    private boolean clientEnded;
    private boolean hasForwarded;
    private long accounted;

    /** Bytes of the server from the first of an answer that cannot be passed on yet. */
    private @Nullable ByteBuf answerIn;

    private long answerLeft;
    private boolean isLearning;
    private int pendingBytes;

    private int sessionId;
    private @Nullable TopicsOfRequest sessionTopics;

    KafkaConversation(final Link link, final KafkaProtocol protocol) {
        this.link = link;
        this.protocol = protocol;
        this.limits = protocol.limits();
        this.head = new RequestHead(limits.requestBytesMax());
        this.produce = new ProduceReader(limits.topicsMax(), limits.heldBytesMax());
    }

    // Requests.

    @Override
    public void onClientBytes(final ByteBuf bytes) {
        if (requests == Requests.OVER) {
            bytes.release();
            return;
        }
        in = joined(in, bytes);
        if (!isPaused) {
            readRequests();
        }
    }

    /** Appends; grows twofold, so that a message in many pieces is copied a few times at most. */
    private ByteBuf joined(final @Nullable ByteBuf before, final ByteBuf more) {
        if (before == null) {
            return more;
        }
        final ByteBuf all;
        if (before.refCnt() == 1 && before.writableBytes() >= more.readableBytes()) {
            all = before;
        } else {
            all = link.buffer(2 * (before.readableBytes() + more.readableBytes()));
            all.writeBytes(before);
            before.release();
        }
        all.writeBytes(more);
        more.release();
        return all;
    }

    private void readRequests() {
        final ByteBuf bytes = in;
        if (bytes == null) {
            return;
        }
        boolean goesOn = true;
        while (goesOn && bytes.isReadable() && !link.isOver()) {
            goesOn =
                    switch (requests) {
                        case HEAD -> readHead(bytes);
                        case WHOLE -> readWhole(bytes);
                        case PRODUCE -> readProduce(bytes);
                        case PASSING -> pass(bytes);
                        case OVER -> false;
                    };
        }
        if (!bytes.isReadable() || requests == Requests.OVER) {
            dropIn();
        }
        account();
    }

    private void dropIn() {
        if (in != null) {
            in.release();
            in = null;
        }
    }

    /** Keeps the sum of all that is held; what is too much is the end of this connection. */
    private void account() {
        recount();
        if (protocol.held().isOver()
                && in != null
                && in.capacity() > HELD_BYTES_FREE
                && !link.isOver()) {
            refuse(KafkaFault.HELD_TOO_MUCH);
            dropIn();
            recount();
        }
    }

    private void recount() {
        long now = 0;
        if (in != null) {
            now += in.capacity();
        }
        if (answerIn != null) {
            now += answerIn.capacity();
        }
        protocol.held().change(now - accounted);
        accounted = now;
    }

    private boolean readHead(final ByteBuf bytes) {
        if (exchanges.size() >= limits.inFlightMax()
                || pendingBytes >= PENDING_BYTES_MAX
                || link.isClientFull()) {
            isPaused = true;
            link.pauseClient();
            return false;
        }
        final RequestHead.Progress progress = head.read(bytes);
        if (progress == RequestHead.Progress.MORE) {
            if (!isHeadTimed) {
                isHeadTimed = true;
                link.setDeadline(link.config().headTimeout().toNanos());
            }
            return false;
        }
        if (isHeadTimed) {
            isHeadTimed = false;
            link.clearDeadline();
        }
        if (progress == RequestHead.Progress.FAULT) {
            refuse(head.fault());
            return false;
        }
        return onHead(bytes);
    }

    private boolean onHead(final ByteBuf bytes) {
        final int version = head.apiVersion();
        if (head.apiKey() == PRODUCE_KEY
                && version >= ProduceReader.VERSION_MIN
                && version <= ProduceReader.VERSION_MAX) {
            requests = Requests.PRODUCE;
            produceFate = Produce.UNDECIDED;
            isProduceJudged = false;
            produceExchange = null;
            scanned = head.bytes();
            produce.start(version, head.frameBytes() - head.bytes());
            return readProduce(bytes);
        }
        if (head.apiKey() != PRODUCE_KEY
                && ReadRequest.isReadable(head.apiKey(), version)
                && head.frameBytes() <= limits.heldBytesMax()) {
            requests = Requests.WHOLE;
            return true;
        }
        judgeByHead();
        return true;
    }

    private TopicsOfRequest noTopics() {
        return new TopicsOfRequest(
                protocol.topicIds(), link.flow().serverIdentity(), limits.topicsMax());
    }

    private Judgement judge(final FlowRules rules, final List<String> topics) {
        return KafkaJudge.judge(
                rules, new KafkaRequest(head.apiKey(), head.apiVersion(), head.clientId(), topics));
    }

    private FlowRules rules() {
        return link.flow().policy().now();
    }

    private KafkaExchange report(
            final TopicsOfRequest topics, final FlowRules rules, final Judgement judgement) {
        final KafkaExchange exchange =
                new KafkaExchange(head, topics, rules.revision(), judgement, link.nowNs());
        link.counters().count(counter(judgement.verdict()));
        protocol.sink().report(exchange.requestEvent(link.flow()));
        return exchange;
    }

    private static ProxyCounter counter(final Verdict verdict) {
        return switch (verdict) {
            case FORWARDED -> ProxyCounter.REQUESTS_FORWARDED;
            case AUDITED -> ProxyCounter.REQUESTS_AUDITED;
            case DENIED -> ProxyCounter.REQUESTS_DENIED;
            case ERROR -> ProxyCounter.REQUESTS_MALFORMED;
        };
    }

    /** A request whose body is not read. */
    private void judgeByHead() {
        final TopicsOfRequest topics = noTopics();
        if (!ReadRequest.isWithoutTopics(head.apiKey(), head.apiVersion())) {
            topics.addEvery();
        }
        final FlowRules rules = rules();
        final Judgement judgement = judge(rules, topics.forRules());
        final KafkaExchange exchange = report(topics, rules, judgement);
        if (!judgement.passes()) {
            close(exchange);
            return;
        }
        if (head.apiKey() == PRODUCE_KEY) {
            exchange.answerBy(Answer.SERVER_PERHAPS);
        }
        forgetSession();
        exchanges.add(exchange);
        passLeft = head.frameBytes();
        requests = Requests.PASSING;
    }

    private boolean pass(final ByteBuf bytes) {
        final int length = (int) Math.min(passLeft, bytes.readableBytes());
        forward(bytes, length);
        passLeft -= length;
        if (passLeft == 0) {
            requests = Requests.HEAD;
        }
        return true;
    }

    private void forward(final ByteBuf bytes, final int length) {
        if (length > 0) {
            hasForwarded = true;
            link.toServer(bytes.readRetainedSlice(length));
        }
    }

    private boolean readWhole(final ByteBuf bytes) {
        final int length = (int) head.frameBytes();
        if (bytes.readableBytes() < length) {
            return false;
        }
        final Optional<ReadRequest> request =
                ReadRequest.read(
                        bytes.nioBuffer(
                                bytes.readerIndex() + RequestHead.LENGTH_BYTES,
                                length - RequestHead.LENGTH_BYTES));
        if (request.isEmpty()) {
            refuse(KafkaFault.BODY);
            return false;
        }
        requests = Requests.HEAD;
        judgeRead(bytes, length, request.get());
        return true;
    }

    private void judgeRead(final ByteBuf bytes, final int length, final ReadRequest request) {
        final TopicsOfRequest named = noTopics();
        request.addTopics(named);
        final TopicsOfRequest all =
                request.isFetchOfSession() ? withSession(request, named) : named;
        final FlowRules rules = rules();
        final Judgement judgement = judge(rules, all.forRules());
        if (!judgement.passes() && request.isMetadataByName()) {
            final Set<String> denied = denied(rules, named);
            final List<String> allowed = new ArrayList<>(named.known());
            allowed.removeAll(denied);
            // Each of them may be allowed by another stage, and then no stage allows the request.
            if (!allowed.isEmpty() && judge(rules, allowed).passes()) {
                bytes.skipBytes(length);
                forwardWithout(denied, request, rules, judgement);
                return;
            }
        }
        final KafkaExchange exchange = report(all, rules, judgement);
        if (judgement.passes()) {
            if (request.isFetchWithSession()) {
                exchange.beginsSession(all);
            }
            exchanges.add(exchange);
            forward(bytes, length);
            return;
        }
        bytes.skipBytes(length);
        if (request.isFetchOfSession() && isAllowed(rules, named)) {
            forgetSession();
            answer(exchange, request.denySession(head.correlationId()));
            return;
        }
        final boolean isUnknownOnly = !named.isEvery() && judge(rules, named.known()).passes();
        request.deny(head.correlationId(), link.flow().server(), named, isUnknownOnly)
                .ifPresentOrElse(denial -> answer(exchange, denial), () -> close(exchange));
    }

    /** Those of the topics that are not allowed by themselves; all, if there are too many. */
    private Set<String> denied(final FlowRules rules, final TopicsOfRequest topics) {
        final Set<String> denied = new LinkedHashSet<>();
        for (final String name : topics.known()) {
            if (topics.isEvery() || !judge(rules, List.of(name)).passes()) {
                denied.add(name);
            }
        }
        return denied;
    }

    private void forwardWithout(
            final Set<String> denied,
            final ReadRequest request,
            final FlowRules rules,
            final Judgement judgement) {
        final TopicsOfRequest topics = noTopics();
        denied.forEach(topics::add);
        final KafkaExchange exchange = report(topics, rules, judgement);
        exchange.lacks(denied);
        exchanges.add(exchange);
        hasForwarded = true;
        link.toServer(framed(request.withoutTopics(denied)));
    }

    private ByteBuf framed(final ByteBuffer message) {
        final ByteBuf out = link.buffer(RequestHead.LENGTH_BYTES + message.remaining());
        out.writeInt(message.remaining());
        out.writeBytes(message);
        return out;
    }

    private boolean isAllowed(final FlowRules rules, final TopicsOfRequest topics) {
        return judge(rules, topics.forRules()).passes();
    }

    /** What a Fetch that goes on with a session is about. */
    private TopicsOfRequest withSession(final ReadRequest request, final TopicsOfRequest named) {
        final TopicsOfRequest all = noTopics();
        all.addAll(named);
        if (sessionTopics != null && request.sessionId() == sessionId) {
            all.addAll(sessionTopics);
        } else {
            all.addEvery();
        }
        return all;
    }

    private void forgetSession() {
        sessionId = 0;
        sessionTopics = null;
    }

    private boolean readProduce(final ByteBuf bytes) {
        while (true) {
            final int start = bytes.readerIndex();
            bytes.skipBytes(scanned);
            final ProduceReader.Progress progress = produce.read(bytes);
            scanned = bytes.readerIndex() - start;
            bytes.readerIndex(start);
            switch (progress) {
                case FAULT -> {
                    if (produceFate == Produce.PASSES) {
                        abort(produce.fault());
                    } else {
                        refuse(produce.fault());
                    }
                    return false;
                }
                case TOPICS_KNOWN -> judgeProduce(false);
                case MORE -> {
                    if (bytes.readableBytes() > limits.heldBytesMax()) {
                        judgeProduce(true);
                    }
                    moveProduce(bytes);
                    return false;
                }
                case COMPLETE -> {
                    moveProduce(bytes);
                    requests = Requests.HEAD;
                    if (produceFate == Produce.DENIED) {
                        denyProduce();
                    }
                    return true;
                }
            }
        }
    }

    /**
     * Judges a Produce request.
     *
     * @param isTooLong it cannot be held until its topics are known
     */
    private void judgeProduce(final boolean isTooLong) {
        if (isProduceJudged) {
            return;
        }
        isProduceJudged = true;
        final TopicsOfRequest topics = noTopics();
        for (final ProduceReader.Topic topic : produce.topics()) {
            if (topic.name().isEmpty()) {
                topics.add(topic.id());
            } else {
                topics.add(topic.name());
            }
        }
        if (isTooLong) {
            topics.addEvery();
        }
        final FlowRules rules = rules();
        final Judgement judgement = judge(rules, topics.forRules());
        final KafkaExchange exchange = report(topics, rules, judgement);
        produceExchange = exchange;
        isProduceUnknownOnly =
                topics.hasUnknownIds() && !isTooLong && judge(rules, topics.known()).passes();
        produceFate = judgement.passes() ? Produce.PASSES : Produce.DENIED;
        if (judgement.passes() && produce.acks() != 0) {
            exchanges.add(exchange);
        }
    }

    private void moveProduce(final ByteBuf bytes) {
        switch (produceFate) {
            case UNDECIDED -> {
                return;
            }
            case PASSES -> forward(bytes, scanned);
            case DENIED -> bytes.skipBytes(scanned);
        }
        scanned = 0;
    }

    private void denyProduce() {
        final KafkaExchange exchange = produceExchange;
        if (exchange == null) {
            return;
        }
        if (produce.acks() == 0) {
            close(exchange);
        } else {
            answer(
                    exchange,
                    ReadRequest.denyProduce(
                            head.apiVersion(),
                            head.correlationId(),
                            produce.topics(),
                            isProduceUnknownOnly));
        }
    }

    private void answer(final KafkaExchange exchange, final Denial denial) {
        exchange.answerWith(denial);
        exchanges.add(exchange);
        pendingBytes += denial.bytes().remaining();
        answerPending();
    }

    /** The connection ends when all before has been answered. */
    private void close(final KafkaExchange exchange) {
        exchange.answerBy(Answer.CLOSE);
        exchanges.add(exchange);
        requests = Requests.OVER;
        answerPending();
    }

    private void refuse(final KafkaFault fault) {
        fail(fault.meaning());
    }

    private void fail(final String why) {
        link.counters().count(ProxyCounter.REQUESTS_MALFORMED);
        final KafkaExchange exchange = unreadable(why);
        protocol.sink().report(exchange.requestEvent(link.flow()));
        close(exchange);
    }

    private KafkaExchange unreadable(final String why) {
        return new KafkaExchange(
                head, noTopics(), 0, new Judgement(Verdict.ERROR, why), link.nowNs());
    }

    /** A part has been passed on: the server must never get the whole. */
    private void abort(final KafkaFault fault) {
        link.counters().count(ProxyCounter.REQUESTS_MALFORMED);
        protocol.sink().report(unreadable(fault.meaning()).requestEvent(link.flow()));
        requests = Requests.OVER;
        link.reset();
    }

    /** Gives those of our answers whose turn has come. */
    private void answerPending() {
        while (true) {
            final KafkaExchange exchange = exchanges.peek();
            if (exchange == null || link.isOver()) {
                return;
            }
            final Denial denial = exchange.denial();
            if (denial != null) {
                exchanges.remove();
                pendingBytes -= denial.bytes().remaining();
                link.toClient(framed(denial.bytes()));
                protocol.sink()
                        .report(
                                exchange.answerEvent(
                                        link.flow(), denial.errorCode(), link.nowNs()));
            } else if (exchange.answer() == Answer.CLOSE) {
                link.finish();
                return;
            } else {
                return;
            }
        }
    }

    private void resume() {
        if (isPaused && !link.isOver()) {
            isPaused = false;
            readRequests();
            if (!isPaused) {
                link.resumeClient();
                endAfterClient();
            }
        }
    }

    @Override
    public void onClientEnd() {
        clientEnded = true;
        endAfterClient();
    }

    /** A client that sends nothing more may still wait for answers. */
    private void endAfterClient() {
        if (!clientEnded || isPaused || link.isOver()) {
            return;
        }
        if (hasForwarded) {
            link.endToServer();
        } else {
            link.finish();
        }
    }

    @Override
    public void onClientDrained() {
        resume();
    }

    @Override
    public void onDeadline() {
        link.counters().count(ProxyCounter.REQUESTS_LATE);
        fail("the head did not arrive in time");
        dropIn();
        recount();
    }

    /** As if the server itself had refused: the protocol has no answer for it. */
    @Override
    public void onConnectFailed() {
        link.reset();
    }

    // Answers.

    @Override
    public void onServerBytes(final ByteBuf bytes) {
        final ByteBuf all = joined(answerIn, bytes);
        answerIn = all;
        boolean goesOn = true;
        while (goesOn && all.isReadable() && !link.isOver()) {
            goesOn = answerLeft > 0 ? passAnswer(all) : readAnswer(all);
        }
        if (answerIn != null && (!all.isReadable() || link.isOver())) {
            all.release();
            answerIn = null;
        }
        recount();
        resume();
    }

    private boolean passAnswer(final ByteBuf bytes) {
        if (!exchanges.element().deniedTopics().isEmpty()) {
            return passAmended(bytes);
        }
        if (isLearning) {
            if (bytes.readableBytes() >= answerLeft) {
                learn(bytes);
            } else if (!protocol.held().isOver()) {
                return false;
            }
            isLearning = false;
        }
        final int length = (int) Math.min(answerLeft, bytes.readableBytes());
        link.toClient(bytes.readRetainedSlice(length));
        answerLeft -= length;
        if (answerLeft == 0) {
            exchanges.remove();
            answerPending();
        }
        return true;
    }

    /** What is too long to be held ends the connection: it would lack what the client asked for. */
    private boolean passAmended(final ByteBuf bytes) {
        if (answerLeft > limits.answerHeldBytesMax() || protocol.held().isOver()) {
            link.finish();
            return false;
        }
        if (bytes.readableBytes() < answerLeft) {
            return false;
        }
        if (isLearning) {
            isLearning = false;
            learn(bytes);
        }
        final KafkaExchange exchange = exchanges.remove();
        final Optional<ByteBuffer> answer =
                MetadataReader.withDenied(
                        answer(bytes), exchange.apiVersion(), exchange.deniedTopics());
        if (answer.isEmpty()) {
            link.counters().count(ProxyCounter.ANSWERS_MALFORMED);
            link.finish();
            return false;
        }
        bytes.skipBytes((int) answerLeft);
        answerLeft = 0;
        link.toClient(framed(answer.get()));
        answerPending();
        return true;
    }

    /** The one that is complete, from its correlation id on. */
    private ByteBuffer answer(final ByteBuf bytes) {
        return bytes.nioBuffer(
                bytes.readerIndex() + RequestHead.LENGTH_BYTES,
                (int) answerLeft - RequestHead.LENGTH_BYTES);
    }

    /** From its length on, an answer of the server. */
    private boolean readAnswer(final ByteBuf bytes) {
        if (bytes.readableBytes() < ANSWER_HEAD_BYTES) {
            return false;
        }
        final int start = bytes.readerIndex();
        final int length = bytes.getInt(start);
        final int correlationId = bytes.getInt(start + RequestHead.LENGTH_BYTES);
        KafkaExchange exchange = exchanges.peek();
        while (exchange != null
                && exchange.answer() == Answer.SERVER_PERHAPS
                && exchange.correlationId() != correlationId) {
            exchanges.remove();
            answerPending();
            exchange = exchanges.peek();
        }
        if (exchange == null
                || exchange.answer() == Answer.CLOSE
                || exchange.correlationId() != correlationId
                || length < ANSWER_HEAD_BYTES - RequestHead.LENGTH_BYTES) {
            link.counters().count(ProxyCounter.ANSWERS_MALFORMED);
            link.finish();
            return false;
        }
        if (exchange.sessionTopics() != null && !readSession(bytes, exchange, length)) {
            return false;
        }
        final int errorCode =
                exchange.deniedTopics().isEmpty() ? 0 : MetadataReader.DENIED_ERROR_CODE;
        protocol.sink().report(exchange.answerEvent(link.flow(), errorCode, link.nowNs()));
        answerLeft = (long) RequestHead.LENGTH_BYTES + length;
        isLearning =
                length <= limits.answerHeldBytesMax()
                        && MetadataReader.hasIds(exchange.apiKey(), exchange.apiVersion());
        return true;
    }

    private void learn(final ByteBuf bytes) {
        final KafkaExchange exchange = exchanges.element();
        MetadataReader.learn(
                answer(bytes),
                exchange.apiVersion(),
                link.flow().serverIdentity(),
                protocol.topicIds());
    }

    /**
     * Fetch answer: correlation id, [tagged fields], throttle time, error, session id. False if not
     * all of them have come. Tagged fields have not been used there so far; if there are some, the
     * session is not known.
     */
    private boolean readSession(
            final ByteBuf bytes, final KafkaExchange exchange, final int length) {
        final boolean hasTags = exchange.apiVersion() >= FETCH_FLEXIBLE_SINCE;
        final int at = ANSWER_HEAD_BYTES + (hasTags ? 1 : 0) + Integer.BYTES + Short.BYTES;
        final int needed = Math.min(at + Integer.BYTES, RequestHead.LENGTH_BYTES + length);
        if (bytes.readableBytes() < needed) {
            return false;
        }
        final int start = bytes.readerIndex();
        forgetSession();
        if (needed == at + Integer.BYTES
                && (!hasTags || bytes.getByte(start + ANSWER_HEAD_BYTES) == 0)) {
            sessionId = bytes.getInt(start + at);
            sessionTopics = sessionId == 0 ? null : exchange.sessionTopics();
        }
        return true;
    }

    /** Whatever has not been answered never will be; to the client it looks as to us. */
    @Override
    public void onServerEnd() {
        link.finish();
    }

    @Override
    public void onClosed() {
        dropIn();
        if (answerIn != null) {
            answerIn.release();
            answerIn = null;
        }
        recount();
    }
}
