#!/usr/bin/env python3
"""Both ends of the bulk rows of scripts/bench-http. Neither copies a body: sendfile sends it, MSG_TRUNC (tcp(7)) drops it.

    bench-http-bulk.py serve PORT BYTES           answers GET with BYTES, and POST when it has taken the body
    bench-http-bulk.py get PORT BYTES SECONDS     asks again and again on one connection: prints bytes of bodies, and ns
    bench-http-bulk.py post PORT BYTES SECONDS    sends again and again on one connection: the same
"""
import os
import socket
import sys
import threading
import time

PIECE = 1 << 20
HEAD_MAX = 64 << 10


def file_of(length):
    file = os.memfd_create("body")
    os.write(file, bytes(length))
    return file


def read_head(connection):
    """A head, and what came behind it; an empty head at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(HEAD_MAX)
        if not more or len(data) > HEAD_MAX:
            return b"", b""
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def length_of(head):
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def drop(connection, length):
    nowhere = bytearray(PIECE)
    while length > 0:
        taken = connection.recv_into(nowhere, min(length, PIECE), socket.MSG_TRUNC)
        if taken == 0:
            raise EOFError("the connection ended within a body")
        length -= taken


def send(connection, file, length):
    at = 0
    while at < length:
        at += os.sendfile(connection.fileno(), file, at, length - at)


def answer(connection, file, length):
    try:
        while True:
            head, rest = read_head(connection)
            if not head:
                return
            if head.startswith(b"POST "):
                drop(connection, length_of(head) - len(rest))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            else:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
                send(connection, file, length)
    except (OSError, EOFError):
        pass  # The client stops in the middle of a body when its time is over.
    finally:
        connection.close()


def serve(port, length):
    file = file_of(length)
    with socket.create_server(("127.0.0.1", port)) as server:
        while True:
            connection, _ = server.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=answer, args=(connection, file, length), daemon=True).start()


def ask(port, method, length, seconds):
    file = file_of(length) if method == b"POST" else -1
    moved, begin = 0, time.monotonic_ns()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while time.monotonic_ns() - begin < seconds * 1_000_000_000:
            request = method + b" /public/bulk HTTP/1.1\r\nHost: bench\r\n"
            if method == b"POST":
                connection.sendall(request + b"Content-Length: %d\r\n\r\n" % length)
                send(connection, file, length)
            else:
                connection.sendall(request + b"\r\n")
            head, rest = read_head(connection)
            if b" 200 " not in head:
                raise SystemExit("answered: %r" % head[:80])
            drop(connection, length_of(head) - len(rest))
            moved += length
    print(moved, time.monotonic_ns() - begin)


mode, *numbers = sys.argv[1:]
port, length, *seconds = map(int, numbers)
if mode == "serve":
    serve(port, length)
else:
    ask(port, mode.upper().encode(), length, *seconds)
