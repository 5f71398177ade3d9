#!/usr/bin/env python3
"""Both ends of what scripts/bench-restart keeps open and counts.

    bench-restart-peer.py echo PORT               answers every byte of every TCP connection
    bench-restart-peer.py hold ADDRESS PORT N     opens N connections, says "held N"; for each line that comes in,
                                                  asks on all of them and says "answered K of N"
    bench-restart-peer.py tick ADDRESS PORT       a numbered datagram every millisecond
    bench-restart-peer.py flow ADDRESS PORT RATE  for each line that comes in, sends numbered datagrams of 64 bytes for eight
                                                  seconds, and says "sent N"; a late millisecond is sent late, never with
                                                  the next one
    bench-restart-peer.py count PORT              for each line that comes in, says "received N" since the line before; its
                                                  buffer holds many seconds' datagrams, so that none is lost here
    bench-restart-peer.py gap PORT                for each line that comes in, says "gap MS lost N": the longest time
                                                  between two datagrams, and how many did not come, since the line before
"""
import resource
import selectors
import socket
import sys
import threading
import time

ANSWER_SECONDS = 15
FLOW_SECONDS = 8

# include/uapi/asm-generic/socket.h; not limited by net.core.rmem_max.
SO_RCVBUFFORCE = 33
# A small datagram takes 768 bytes of it, and the kernel doubles it.
COUNT_BUFFER_BYTES = 1 << 29


def echo(port):
    listener = socket.create_server(("0.0.0.0", port), backlog=4096, reuse_port=True)
    listener.setblocking(False)
    ready = selectors.DefaultSelector()
    ready.register(listener, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in ready.select():
            if key.fileobj is listener:
                connection, _ = listener.accept()
                connection.setblocking(False)
                ready.register(connection, selectors.EVENT_READ)
                continue
            try:
                data = key.fileobj.recv(4096)
                if data:
                    key.fileobj.send(data)
                    continue
            except OSError:
                pass
            ready.unregister(key.fileobj)
            key.fileobj.close()


def hold(address, port, count):
    connections = [socket.create_connection((address, port), timeout=30) for _ in range(count)]
    print("held %d" % count, flush=True)
    for _ in sys.stdin:
        ready = selectors.DefaultSelector()
        for connection in connections:
            connection.setblocking(False)
            try:
                connection.send(b"?")
                ready.register(connection, selectors.EVENT_READ)
            except OSError:
                pass
        answered, end = 0, time.monotonic() + ANSWER_SECONDS
        while ready.get_map() and time.monotonic() < end:
            for key, _ in ready.select(timeout=0.5):
                try:
                    answered += key.fileobj.recv(1) == b"?"
                except OSError:
                    pass
                ready.unregister(key.fileobj)
        print("answered %d of %d" % (answered, count), flush=True)


def tick(address, port):
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    number, due = 0, time.monotonic()
    while True:
        try:
            sender.sendto(b"%d" % number, (address, port))
        except OSError:
            pass
        number += 1
        due += 0.001
        time.sleep(max(0, due - time.monotonic()))


def flow(address, port, rate):
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect((address, port))
    print("ready", flush=True)
    for _ in sys.stdin:
        number, begin = 0, time.monotonic()
        due = begin
        while due < begin + FLOW_SECONDS:
            for _ in range(rate // 1000):
                sender.send(number.to_bytes(64, "big"))
                number += 1
            due = max(due + 0.001, time.monotonic() - 0.001)
            time.sleep(max(0, due - time.monotonic()))
        print("sent %d" % number, flush=True)


def count(port):
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, COUNT_BUFFER_BYTES)
    receiver.bind(("0.0.0.0", port))
    received = 0

    def report():
        nonlocal received
        for _ in sys.stdin:
            print("received %d" % received, flush=True)
            received = 0

    threading.Thread(target=report, daemon=True).start()
    data = bytearray(64)
    while True:
        receiver.recv_into(data)
        received += 1


def gap(port):
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("0.0.0.0", port))
    lock = threading.Lock()
    longest, lost = 0.0, 0

    def report():
        nonlocal longest, lost
        for _ in sys.stdin:
            with lock:
                print("gap %d lost %d" % (longest * 1000, lost), flush=True)
                longest, lost = 0.0, 0

    threading.Thread(target=report, daemon=True).start()
    last, expected = None, None
    while True:
        number = int(receiver.recv(64))
        now = time.monotonic()
        with lock:
            if last is not None:
                longest = max(longest, now - last)
                lost += max(0, number - expected)
        last, expected = now, number + 1


most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
mode, arguments = sys.argv[1], [int(word) if word.isdigit() else word for word in sys.argv[2:]]
{"echo": echo, "hold": hold, "tick": tick, "flow": flow, "count": count, "gap": gap}[mode](*arguments)
