"""Ends of the connections in TapPortNetnsTest: peer.py VERB ARGUMENT..."""

import hashlib
import random
import socket
import sys

verb, arguments = sys.argv[1], sys.argv[2:]

if verb == "echo":  # ADDRESS: one connection on port 7
    server = socket.create_server((arguments[0], 7))
    print("up")
    connection, _ = server.accept()
    while data := connection.recv(9):
        connection.sendall(data)

elif verb == "words":  # ADDRESS WORD...: each word, its echo, then a line of stdin
    connection = socket.create_connection((arguments[0], 7))
    connection.settimeout(20)
    for word in arguments[1:]:
        connection.sendall(word.encode())
        print(connection.recv(9).decode())
        sys.stdin.readline()

elif verb == "digest":  # ADDRESS: length and digest of what one connection on port 9999 brings
    server = socket.create_server((arguments[0], 9999))
    print("up")
    connection, _ = server.accept()
    digest, length = hashlib.sha256(), 0
    while data := connection.recv(1 << 20):
        digest.update(data)
        length += len(data)
    print(length, digest.hexdigest())

elif verb == "bulk":  # ADDRESS MEBIBYTES
    data = random.Random(1).randbytes(int(arguments[1]) << 20)
    with socket.create_connection((arguments[0], 9999)) as connection:
        connection.sendall(data)
    print(len(data), hashlib.sha256(data).hexdigest())

elif verb == "datagrams":  # ADDRESS COUNT BYTES [SOCKETS]
    count = int(arguments[3]) if len(arguments) > 3 else 1
    senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for i in range(int(arguments[1])):
        senders[i % count].sendto(b"x" * int(arguments[2]), (arguments[0], 9))
