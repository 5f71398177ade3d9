#!/usr/bin/env python3
"""The generator of scripts/bench-pps: UDP frames of 64 bytes (60 and the checksum that Ethernet adds) out of a device.

    bench-pps-peer.py DEVICE TO-MAC FROM TO FLOWS SECONDS

The kernel makes the frames itself, in batches, from a program of XDP that gives each a random one of FLOWS pairs of ports
(BPF_PROG_TEST_RUN with live frames, Documentation/bpf/bpf_prog_run.rst): no socket buffer, no system call for each, so that
the generator is faster than what it measures. Needs root and a device whose peer takes XDP frames. Says "sent N in S s".
"""
import ctypes
import os
import platform
import socket
import struct
import sys
import time

PROG_LOAD, PROG_TEST_RUN = 5, 10
PROG_TYPE_XDP = 6
LIVE_FRAMES = 1 << 1
PORTS = 50000
BATCH = 64
CHUNK = 1 << 19


def bpf(command, attributes):
    libc = ctypes.CDLL(None, use_errno=True)
    number = 321 if platform.machine() == "x86_64" else 280
    buffer = ctypes.create_string_buffer(attributes, 128)
    result = libc.syscall(number, command, buffer, 128)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, "bpf command %d: %s" % (command, os.strerror(code)))
    return result


def instruction(opcode, destination=0, source=0, offset=0, number=0):
    return struct.pack("<BBhi", opcode, source << 4 | destination, offset, number)


def program(flows):
    return b"".join(
        (
            instruction(0xBF, 6, 1),  # r6 = context
            instruction(0x85, number=7),  # r0 = bpf_get_prandom_u32()
            instruction(0x94, 0, number=flows),  # r0 %= flows
            instruction(0xBC, 7, 0),  # r7 = r8 = r0
            instruction(0xBC, 8, 0),
            instruction(0x94, 7, number=PORTS),  # r7 = htons(r7 % PORTS + 1024)
            instruction(0x04, 7, number=1024),
            instruction(0xDC, 7, number=16),
            instruction(0x34, 8, number=PORTS),  # r8 = htons(r8 / PORTS + 1024)
            instruction(0x04, 8, number=1024),
            instruction(0xDC, 8, number=16),
            instruction(0x61, 2, 6, 0),  # r2 = data
            instruction(0x61, 3, 6, 4),  # r3 = data_end
            instruction(0xBF, 4, 2),
            instruction(0x07, 4, number=42),
            instruction(0x2D, 4, 3, 4),  # if r2 + 42 > r3: drop
            instruction(0x6B, 2, 7, 34),  # source and destination port
            instruction(0x6B, 2, 8, 36),
            instruction(0xB7, 0, number=3),  # XDP_TX
            instruction(0x95),
            instruction(0xB7, 0, number=1),  # XDP_DROP
            instruction(0x95),
        )
    )


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def frame(device, to_mac, source, destination):
    with open("/sys/class/net/%s/address" % device, encoding="ascii") as file:
        mac = bytes.fromhex(file.read().strip().replace(":", ""))
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    head = struct.pack("!HHHHBBH", 0x4500, 46, 0, 0x4000, 64, 17, 0) + addresses
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    ethernet = bytes.fromhex(to_mac.replace(":", "")) + mac + b"\x08\x00"
    # Without a checksum, which UDP over IPv4 allows (RFC 768).
    return ethernet + head + struct.pack("!HHHH", 1024, 1024, 26, 0) + bytes(18)


def main(device, to_mac, source, destination, flows, seconds):
    instructions = ctypes.create_string_buffer(program(flows))
    licence = ctypes.create_string_buffer(b"Apache-2.0")
    attributes = struct.pack(
        "<IIQQ", PROG_TYPE_XDP, (len(instructions) - 1) // 8, ctypes.addressof(instructions), ctypes.addressof(licence)
    )
    fd = bpf(PROG_LOAD, attributes)
    data = frame(device, to_mac, source, destination)
    packet = ctypes.create_string_buffer(data, len(data))
    # struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
    context = ctypes.create_string_buffer(
        struct.pack("<IIIIII", 0, len(data), 0, socket.if_nametoindex(device), 0, 0), 24
    )
    run = struct.pack(
        "<IIIIQQIIIIQQIII",
        fd, 0, len(data), 0, ctypes.addressof(packet), 0, CHUNK, 0, 24, 0, ctypes.addressof(context), 0, LIVE_FRAMES, 0, BATCH,
    )
    begin = time.monotonic()
    sent = 0
    while time.monotonic() - begin < seconds:
        bpf(PROG_TEST_RUN, run)
        sent += CHUNK
    print("sent %d in %.3f s" % (sent, time.monotonic() - begin))


main(*sys.argv[1:5], int(sys.argv[5]), float(sys.argv[6]))
