"""A DNS server whose addresses change with every answer, and a client that connects to each.

    names.py serve PREFIX           answers A on UDP and TCP port 53 from PREFIX (a /16), a new address each time, TTL 1:
                                    wrong-id.* gets another id, wrong-question.* another question, wrong-port.* comes from
                                    another port, wrong-client.* goes to another port, extra.* has records about other.example.com
    names.py connect SERVER NAME COUNT PORT   COUNT times: asks, connects at once to what was answered; a line
                                    "failed ADDRESS ERROR" or "unanswered ERROR" for each that fails, and at the
                                    end "connected N of COUNT, unanswered M"
    names.py ask SERVER NAME [tcp]  the address, "rcode N" or "silent"
    names.py flight SERVER DOMAIN COUNT   COUNT queries from one port before an answer is read, each sent twice, letters in
                                    mixed case, EDNS 4096: "answered N of COUNT, case kept K"
"""
import ipaddress
import os
import socket
import struct
import sys
import threading

TIMEOUT_SECONDS = 3


def wire(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.rstrip(".").split(".")) + b"\0"


def question(message):
    at = 12
    labels = []
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode())
        at += 1 + message[at]
    return ".".join(labels), message[12:at + 5], struct.unpack("!H", message[at + 1:at + 3])[0]


class Answers:
    def __init__(self, prefix):
        self.first = int(ipaddress.ip_network(prefix)[0])
        self.count = 0
        self.lock = threading.Lock()

    def to(self, query):
        name, asked, kind = question(query)
        with self.lock:
            self.count = self.count % 65000 + 1
            address = self.first + self.count
        identity = query[:2]
        if name.startswith("wrong-id."):
            identity = bytes([identity[0] ^ 255, identity[1]])
        if name.startswith("wrong-question."):
            asked = wire("other.example.com") + asked[-4:]
        answers = 1 if kind == 1 else 0
        extra = 2 if answers and name.startswith("extra.") else 0
        reply = identity + struct.pack("!HHHHH", 0x8180, 1, answers + extra // 2, 0, extra // 2) + asked
        if answers:
            reply += struct.pack("!HHHIH", 0xC00C, 1, 1, 1, 4) + address.to_bytes(4, "big")
        for last in range(1, extra + 1):
            reply += wire("other.example.com") + struct.pack("!HHIH", 1, 1, 1, 4) + (self.first + 65000 + last).to_bytes(4, "big")
        return reply


def serve_tcp(answers):
    listener = socket.create_server(("", 53))

    def conversation(connection):
        while head := connection.recv(2, socket.MSG_WAITALL):
            query = connection.recv(struct.unpack("!H", head)[0], socket.MSG_WAITALL)
            reply = answers.to(query)
            connection.sendall(struct.pack("!H", len(reply)) + reply)

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=conversation, args=(connection,), daemon=True).start()


def serve(prefix):
    answers = Answers(prefix)
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind(("", 53))
    threading.Thread(target=serve_tcp, args=(answers,), daemon=True).start()
    other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    other.bind(("", 5353))
    print("ready", flush=True)
    while True:
        query, sender = opened.recvfrom(4096)
        name = question(query)[0]
        if name.startswith("wrong-client."):
            sender = (sender[0], sender[1] ^ 1)
        (other if name.startswith("wrong-port.") else opened).sendto(answers.to(query), sender)


def query(name):
    return os.urandom(2) + struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0) + wire(name) + struct.pack("!HH", 1, 1)


def result(sent, reply):
    rcode = reply[3] & 15
    if rcode or reply[:2] != sent[:2]:
        return "rcode %d" % rcode
    return socket.inet_ntoa(reply[-4:])


def ask(server, name, transport="udp"):
    sent = query(name)
    try:
        if transport == "tcp":
            with socket.create_connection((server, 53), TIMEOUT_SECONDS) as opened:
                opened.sendall(struct.pack("!H", len(sent)) + sent)
                head = opened.recv(2, socket.MSG_WAITALL)
                return result(sent, opened.recv(struct.unpack("!H", head)[0], socket.MSG_WAITALL))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
            opened.settimeout(TIMEOUT_SECONDS)
            opened.connect((server, 53))
            opened.send(sent)
            return result(sent, opened.recv(4096))
    except (OSError, struct.error):
        return "silent"


def connect(server, name, count, port):
    connected = unanswered = 0
    for _ in range(count):
        address = ask(server, name)
        if address == "silent" or address.startswith("rcode"):
            unanswered += 1
            print("unanswered", address, flush=True)
            continue
        try:
            socket.create_connection((address, port), 0.9).close()
            connected += 1
        except OSError as error:
            print("failed", address, error, flush=True)
    print("connected %d of %d, unanswered %d" % (connected, count, unanswered))


def flight(server, domain, count):
    asked = {}
    answered = set()
    kept = set()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.settimeout(TIMEOUT_SECONDS)
        opened.connect((server, 53))
        for identity in range(1, count + 1):
            name = "".join(c.upper() if os.urandom(1)[0] & 1 else c for c in "n%d.%s" % (identity, domain))
            asked[identity] = wire(name)
            sent = struct.pack("!HHHHHH", identity, 0x0100, 1, 0, 0, 1) + wire(name) + struct.pack("!HH", 1, 1)
            sent += b"\0" + struct.pack("!HHIH", 41, 4096, 0, 0)
            opened.send(sent)
            opened.send(sent)
        try:
            while True:
                reply = opened.recv(4096)
                identity = struct.unpack("!H", reply[:2])[0]
                answered.add(identity)
                if reply[12:].startswith(asked[identity]):
                    kept.add(identity)
                if len(answered) == count:
                    break
        except OSError:
            pass
    print("answered %d of %d, case kept %d" % (len(answered), count, len(kept)))


if sys.argv[1] == "serve":
    serve(sys.argv[2])
elif sys.argv[1] == "flight":
    flight(sys.argv[2], sys.argv[3], int(sys.argv[4]))
elif sys.argv[1] == "connect":
    connect(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
else:
    print(ask(*sys.argv[2:]))
