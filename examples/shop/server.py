#!/usr/bin/env python3
"""The servers of one pod of the shop, all in one process, on IPv4 and IPv6.

    server.py NAME SERVICE:PORT... [--hosts FILE]

    http:PORT   answers every GET with "NAME says hello"
    echo:PORT   TCP, sends every line back (stands for the database's wire protocol)
    udp:PORT    UDP, sends every datagram back
    dns:PORT    UDP and TCP, answers A and AAAA from FILE, which has the lines of /etc/hosts; NXDOMAIN for other names

Prints "ready" when all of them listen.
"""
import asyncio
import ipaddress
import socket
import struct
import sys

A, AAAA, NXDOMAIN = 1, 28, 3


async def http(reader, writer):
    try:
        while (line := await reader.readline()) not in (b"", b"\r\n"):
            pass
        if line:
            body = f"{NAME} says hello\n".encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
                % (len(body), body)
            )
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def echo(reader, writer):
    try:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


def read_hosts(path):
    zone = {}
    with open(path, encoding="ascii") as lines:
        for line in lines:
            words = line.split("#")[0].split()
            for name in words[1:]:
                zone.setdefault(name.lower(), []).append(ipaddress.ip_address(words[0]))
    return zone


def dns_answer(query):
    """RFC 1035, section 4: one question, plain labels, answers point back at the question's name."""
    if len(query) < 17 or query[2] & 0x80:
        return None
    labels, at = [], 12
    while at < len(query) and query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii", "replace").lower())
        at += 1 + query[at]
    if at + 5 > len(query):
        return None
    question = query[12 : at + 5]
    kind = struct.unpack("!H", query[at + 1 : at + 3])[0]
    found = ZONE.get(".".join(labels))
    records = b""
    count = 0
    for address in found or []:
        if kind == (A if address.version == 4 else AAAA):
            records += struct.pack("!HHHIH", 0xC00C, kind, 1, 5, len(address.packed)) + address.packed
            count += 1
    flags = 0x8580 | (0 if found else NXDOMAIN)
    return query[:2] + struct.pack("!HHHHH", flags, 1, count, 0, 0) + question + records


async def dns_over_tcp(reader, writer):
    try:
        query = await reader.readexactly(struct.unpack("!H", await reader.readexactly(2))[0])
        answer = dns_answer(query)
        if answer:
            writer.write(struct.pack("!H", len(answer)) + answer)
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, answer):
        self.answer = answer

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, sender):
        answer = self.answer(data)
        if answer is not None:
            self.transport.sendto(answer, sender)


async def listen_tcp(port, serve):
    await asyncio.start_server(serve, ["0.0.0.0", "::"], port, reuse_address=True)


async def listen_udp(port, answer):
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        opened = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((address, port))
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: Datagrams(answer), sock=opened)


async def main(services):
    for service in services:
        kind, _, port = service.partition(":")
        port = int(port)
        if kind == "http":
            await listen_tcp(port, http)
        elif kind == "echo":
            await listen_tcp(port, echo)
        elif kind == "udp":
            await listen_udp(port, lambda data: data)
        elif kind == "dns":
            await listen_udp(port, dns_answer)
            await listen_tcp(port, dns_over_tcp)
        else:
            sys.exit(f"server.py: unknown service '{kind}': http, echo, udp and dns are accepted")
    print("ready", flush=True)
    await asyncio.Event().wait()


arguments = sys.argv[1:]
ZONE = {}
if "--hosts" in arguments:
    at = arguments.index("--hosts")
    ZONE = read_hosts(arguments[at + 1])
    del arguments[at : at + 2]
if len(arguments) < 2:
    sys.exit(__doc__)
NAME = arguments[0]
asyncio.run(main(arguments[1:]))
