"""Both ends of the connections that the namespace tests make.

    peer.py serve KIND:PORT...      tcp: echoes lines; udp: echoes datagrams; sum: answers the SHA-256 of all it got;
                                    upgrade: answers a request with 101, then echoes lines
    peer.py tcp ADDRESS PORT        answered | refused | timed out
    peer.py udp ADDRESS PORT BYTES  answered | silent | refused
    peer.py probe KIND:PORT:ADDRESS...  a line of "tcp" or "udp" for each, in this order, asked for all at once
    peer.py sum ADDRESS PORT BYTES  same | different | timed out
    peer.py stream ADDRESS PORT     a line "echo" for every echo, one asked for every 20 ms
    peer.py http ADDRESS PORT       one connection; for each line with a path: the status of a GET, "reset", "closed" or "timed out"
    peer.py upgrade ADDRESS PORT PATH  asks for a WebSocket and prints the status; after 101 the echo of each line, or "reset"
    peer.py count ADDRESS PORT RATE  numbered datagrams until a line comes in; then "sent N lost M" of those not echoed
"""
import concurrent.futures
import hashlib
import http.client
import os
import socket
import sys
import threading
import time

TIMEOUT_SECONDS = 1.5
SO_RCVBUFFORCE = 33


def listen(port, kind):
    opened = socket.socket(socket.AF_INET6, kind)
    opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if kind == socket.SOCK_DGRAM:
        # What this process is too slow for must not look lost on the way.
        opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
    opened.bind(("::", port))
    return opened


def accept(listener, serve):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def echo(connection):
    try:
        while data := connection.recv(65536):
            connection.sendall(data)
    except OSError:
        pass


def upgrade(connection):
    while connection.recv(65536, socket.MSG_PEEK).find(b"\r\n\r\n") < 0:
        time.sleep(0.01)
    request = connection.recv(65536)
    assert request.endswith(b"\r\n\r\n") and b"websocket" in request, request
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    echo(connection)


def digest(connection):
    total = hashlib.sha256()
    while data := connection.recv(1 << 20):
        total.update(data)
    connection.sendall(total.hexdigest().encode())
    connection.close()


def echo_datagrams(opened):
    while True:
        data, sender = opened.recvfrom(65536)
        opened.sendto(data, sender)


def serve(services):
    threads = []
    for service in services:
        kind, port = service.split(":")
        if kind == "udp":
            threads.append(threading.Thread(target=echo_datagrams, args=(listen(int(port), socket.SOCK_DGRAM),)))
        else:
            listener = listen(int(port), socket.SOCK_STREAM)
            # A peer that is late must not look like a switch that drops.
            listener.listen(4096)
            threads.append(threading.Thread(target=accept, args=(listener, {"tcp": echo, "sum": digest, "upgrade": upgrade}[kind])))
    for thread in threads:
        thread.start()
    print("ready", flush=True)


def connect(address, port):
    return socket.create_connection((address, int(port)), timeout=TIMEOUT_SECONDS)


def tcp(address, port):
    try:
        connection = connect(address, port)
        connection.sendall(b"hello\n")
        return "answered" if connection.recv(6) == b"hello\n" else "wrong answer"
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "timed out"


def udp(address, port, length):
    opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    opened.settimeout(TIMEOUT_SECONDS)
    data = os.urandom(int(length))
    try:
        # Connected, so that an ICMP error is heard.
        opened.connect((address, int(port)))
        opened.send(data)
        return "answered" if opened.recv(65536) == data else "wrong answer"
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "silent"


def ask(probe):
    kind, port, address = probe.split(":", 2)
    try:
        return udp(address, port, 100) if kind == "udp" else tcp(address, port)
    except OSError as error:
        return str(error)


def probe(probes):
    with concurrent.futures.ThreadPoolExecutor(len(probes)) as threads:
        for answer in threads.map(ask, probes):
            print(answer)


def checksum(address, port, length):
    try:
        connection = connect(address, port)
        connection.settimeout(30)
        data = os.urandom(int(length))
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").read().decode()
        return "same" if answer == hashlib.sha256(data).hexdigest() else "different"
    except TimeoutError:
        return "timed out"


def stream(address, port):
    connection = connect(address, port)
    connection.settimeout(None)

    def show():
        for _ in connection.makefile("rb"):
            print("echo", flush=True)

    threading.Thread(target=show, daemon=True).start()
    while True:
        connection.sendall(b"?\n")
        time.sleep(0.02)


def http_session(address, port):
    connection = http.client.HTTPConnection(address, int(port), timeout=20)
    connection.connect()
    for path in sys.stdin:
        try:
            connection.request("GET", path.strip())
            answer = connection.getresponse()
            answer.read()
            print(answer.status, flush=True)
        except ConnectionResetError:
            print("reset", flush=True)
        except (BrokenPipeError, http.client.RemoteDisconnected):
            print("closed", flush=True)
        except TimeoutError:
            print("timed out", flush=True)


def upgraded_session(address, port, path):
    connection = socket.create_connection((address, int(port)), timeout=20)
    connection.sendall(
        f"GET {path} HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2x1aWNlIHNsdWljZSBzbA==\r\n\r\n".encode()
    )
    answers = connection.makefile("rb")
    status = answers.readline().split()[1].decode()
    while answers.readline() != b"\r\n":
        pass
    print(status, flush=True)
    if status != "101":
        return
    for line in sys.stdin:
        try:
            connection.sendall(line.encode())
            print(answers.readline().decode().strip() or "closed", flush=True)
        except ConnectionResetError:
            print("reset", flush=True)
        except TimeoutError:
            print("timed out", flush=True)


def count(address, port, rate):
    opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
    opened.connect((address, int(port)))
    opened.settimeout(TIMEOUT_SECONDS)
    stopped = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), stopped.set()), daemon=True).start()
    echoed = set()

    def collect():
        try:
            while True:
                echoed.add(int(opened.recv(64)))
        except TimeoutError:
            pass

    collector = threading.Thread(target=collect)
    collector.start()
    print("ready", flush=True)
    begin, sent = time.monotonic(), 0
    while not stopped.is_set():
        due = int((time.monotonic() - begin) * int(rate))
        while sent < due:
            opened.send(b"%d" % sent)
            sent += 1
        time.sleep(0.001)
    collector.join()
    print("sent %d lost %d" % (sent, sent - len(echoed)), flush=True)


mode, arguments = sys.argv[1], sys.argv[2:]
if mode == "serve":
    serve(arguments)
elif mode == "stream":
    stream(*arguments)
elif mode == "http":
    http_session(*arguments)
elif mode == "upgrade":
    upgraded_session(*arguments)
elif mode == "count":
    count(*arguments)
elif mode == "probe":
    probe(arguments)
else:
    print({"tcp": tcp, "udp": udp, "sum": checksum}[mode](*arguments))
