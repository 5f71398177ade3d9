package io.sluice.l7proxy;

import io.netty.channel.IoHandle;
import io.netty.channel.IoHandler;
import io.netty.channel.IoHandlerContext;
import io.netty.channel.IoHandlerFactory;
import io.netty.channel.IoOps;
import io.netty.channel.IoRegistration;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollIoOps;

/**
 * Netty's epoll, with sockets that stay in the set.
 *
 * <p>Netty 4.2.18 takes a socket out of the epoll set when nothing is wanted of it, which happens
 * when it is not read and its FIN has been noticed; when it is to be read again it is not put back
 * ({@code EpollIoHandler.DefaultEpollIoRegistration.submit} stays in the state Added), the change
 * fails with ENOENT, and the connection is lost. That is every client that sends its requests and
 * FIN while the server is slow. So instead of nothing this asks for EPOLLET alone: an error or a
 * hang-up, which epoll always reports, is then reported once and not until it is dealt with. {@code
 * HttpProxyTest.aClientThatSendsNothingMoreStillGetsItsAnswers} fails without this.
 *
 * <p>Thread: the event loop's.
 */
final class SteadyEpoll implements IoHandler {
    private final IoHandler epoll;

    private SteadyEpoll(final IoHandler epoll) {
        this.epoll = epoll;
    }

    static IoHandlerFactory newFactory() {
        final IoHandlerFactory factory = EpollIoHandler.newFactory();
        return executor -> new SteadyEpoll(factory.newHandler(executor));
    }

    @Override
    public IoRegistration register(final IoHandle handle) throws Exception {
        return new Registration(epoll.register(handle));
    }

    private record Registration(IoRegistration epoll) implements IoRegistration {
        @Override
        public long submit(final IoOps ops) {
            return epoll.submit(EpollIoOps.NONE.equals(ops) ? EpollIoOps.EPOLLET : ops);
        }

        @SuppressWarnings("TypeParameterUnusedInFormals") // The interface is that way.
        @Override
        public <T> T attachment() {
            return epoll.attachment();
        }

        @Override
        public boolean isValid() {
            return epoll.isValid();
        }

        @Override
        public boolean cancel() {
            return epoll.cancel();
        }
    }

    @Override
    public void initialize() {
        epoll.initialize();
    }

    @Override
    public int run(final IoHandlerContext context) {
        return epoll.run(context);
    }

    @Override
    public void prepareToDestroy() {
        epoll.prepareToDestroy();
    }

    @Override
    public void destroy() {
        epoll.destroy();
    }

    @Override
    public void wakeup() {
        epoll.wakeup();
    }

    @Override
    public boolean isCompatible(final Class<? extends IoHandle> handleType) {
        return epoll.isCompatible(handleType);
    }
}
