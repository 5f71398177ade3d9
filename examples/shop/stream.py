#!/usr/bin/env python3
"""A connection that is kept open, to see when it is cut.

    stream.py HOST PORT

Sends a line every 20 ms to an echo server and prints, for every echo, the time it came (nanoseconds of the wall clock).
Silent from the moment nothing comes back. Ends with "refused", "timed out" or "reset" when the connection does.
"""
import socket
import sys
import threading
import time

host, port = sys.argv[1], int(sys.argv[2])


def print_echoes(lines):
    try:
        for _ in lines:
            print(time.time_ns(), flush=True)
    except OSError:
        pass


try:
    connection = socket.create_connection((host, port), timeout=3)
    connection.settimeout(None)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=print_echoes, args=(connection.makefile("rb"),), daemon=True).start()
    while True:
        connection.sendall(b"still there?\n")
        time.sleep(0.02)
except ConnectionRefusedError:
    print("refused", flush=True)
except TimeoutError:
    print("timed out", flush=True)
except (ConnectionResetError, BrokenPipeError):
    print("reset", flush=True)
