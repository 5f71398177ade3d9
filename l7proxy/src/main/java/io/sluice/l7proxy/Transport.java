package io.sluice.l7proxy;

import io.netty.channel.Channel;
import io.netty.channel.ChannelFactory;
import io.netty.channel.ChannelOption;
import io.netty.channel.IoHandlerFactory;
import io.netty.channel.ServerChannel;
import io.netty.channel.epoll.EpollChannelOption;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.channel.uring.IoUringChannelOption;
import io.netty.channel.uring.IoUringIoHandler;
import io.netty.channel.uring.IoUringServerSocketChannel;
import io.netty.channel.uring.IoUringSocketChannel;

/** How event loops talk to the kernel. */
public enum Transport {
    EPOLL {
        @Override
        IoHandlerFactory handlers() {
            return SteadyEpoll.newFactory();
        }

        @Override
        ChannelFactory<? extends ServerChannel> listeners() {
            return EpollServerSocketChannel::new;
        }

        @Override
        ChannelFactory<? extends Channel> connections() {
            return EpollSocketChannel::new;
        }

        @Override
        ChannelOption<Boolean> transparent() {
            return EpollChannelOption.IP_TRANSPARENT;
        }
    },
    IO_URING {
        @Override
        IoHandlerFactory handlers() {
            return IoUringIoHandler.newFactory();
        }

        @Override
        ChannelFactory<? extends ServerChannel> listeners() {
            return IoUringServerSocketChannel::new;
        }

        @Override
        ChannelFactory<? extends Channel> connections() {
            return IoUringSocketChannel::new;
        }

        @Override
        ChannelOption<Boolean> transparent() {
            return IoUringChannelOption.IP_TRANSPARENT;
        }
    };

    abstract IoHandlerFactory handlers();

    abstract ChannelFactory<? extends ServerChannel> listeners();

    abstract ChannelFactory<? extends Channel> connections();

    /** ip(7), IP_TRANSPARENT: addresses that are not the host's own; for IPv6 as well in Netty. */
    abstract ChannelOption<Boolean> transparent();
}
