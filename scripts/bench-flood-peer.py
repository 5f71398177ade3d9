#!/usr/bin/env python3
"""The generator of scripts/bench-flood: IPv4 frames out of a device, one new flow each.

    bench-flood-peer.py syn DEVICE FROM TO COUNT RATE FIRST    TCP SYNs to port 80, each from another address: FROM + n
    bench-flood-peer.py udp DEVICE FROM TO COUNT RATE FIRST    datagrams, each of another pair of ports

RATE is frames a second; FIRST is the number of the first frame. Says "sent N in S s" at the end.
"""
import socket
import struct
import sys
import time

GATEWAY_MAC = bytes.fromhex("02534c000001")
BURST = 200


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def main(mode, device, source, destination, count, rate, first):
    with open("/sys/class/net/%s/address" % device, encoding="ascii") as file:
        mac = bytes.fromhex(file.read().strip().replace(":", ""))
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((device, 0))
    source = struct.unpack("!I", socket.inet_aton(source))[0]
    destination = struct.unpack("!I", socket.inet_aton(destination))[0]
    protocol, payload = (6, 20) if mode == "syn" else (17, 12)
    head = struct.pack("!HHHHBBHI", 0x4500, 20 + payload, 1, 0x4000, 64, protocol, 0, 0)
    # Sum of everything but the source address; a sum of 16-bit words does not mind their order.
    rest = ~checksum(head + struct.pack("!I", destination)) & 0xFFFF
    frame = bytearray(GATEWAY_MAC + mac + b"\x08\x00" + head + struct.pack("!I", destination) + bytes(payload))
    if mode == "syn":
        struct.pack_into("!HHIIBBHHH", frame, 34, 4000, 80, 1000, 0, 0x50, 2, 65535, 0, 0)
    else:
        struct.pack_into("!HHHH", frame, 34, 0, 0, 12, 0)
    address, ports, header_sum = struct.Struct("!I"), struct.Struct("!HH"), struct.Struct("!H")
    send, clock = out.send, time.monotonic
    # Without an address of its own the header is that of FROM.
    total = rest + (source >> 16) + (source & 0xFFFF)
    total = (total & 0xFFFF) + (total >> 16)
    header_sum.pack_into(frame, 24, ~(total + (total >> 16)) & 0xFFFF)
    address.pack_into(frame, 26, source)
    begin = clock()
    lost = 0
    for done in range(0, count, BURST):
        for number in range(first + done, first + min(count, done + BURST)):
            if mode == "syn":
                own = source + number
                total = rest + (own >> 16) + (own & 0xFFFF)
                total = (total & 0xFFFF) + (total >> 16)
                header_sum.pack_into(frame, 24, ~(total + (total >> 16)) & 0xFFFF)
                address.pack_into(frame, 26, own)
            else:
                ports.pack_into(frame, 34, 1024 + number % 50000, 1024 + number // 50000)
            try:
                send(frame)
            except OSError:
                lost += 1
        due = begin + (done + BURST) / rate
        time.sleep(max(0.0, due - clock()))
    print("sent %d in %.1f s, %d refused by the device" % (count - lost, clock() - begin, lost), flush=True)


if len(sys.argv) != 8 or sys.argv[1] not in ("syn", "udp"):
    sys.exit(__doc__)
main(*sys.argv[1:5], *(int(word) for word in sys.argv[5:]))
