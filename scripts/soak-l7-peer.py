#!/usr/bin/env python3
"""The client of scripts/soak-l7.

    soak-l7-peer.py hold ADDRESS N           opens N connections, asks once on each, says "held K of N"; for each line that
                                             comes in, asks again on all of them and says "answered K of N"
    soak-l7-peer.py churn ADDRESS RATE S     opens RATE connections a second for S seconds, one request on each: says
                                             "200 A 403 B failed C seconds D": every second one asks for what is denied
"""
import asyncio
import sys
import time

PORT = 80
ANSWER_SECONDS = 30
AT_ONCE = 200


async def ask(reader, writer, path, host):
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    status = (await asyncio.wait_for(reader.readline(), ANSWER_SECONDS)).split()[1].decode()
    length = 0
    while (line := await asyncio.wait_for(reader.readline(), ANSWER_SECONDS)) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    await asyncio.wait_for(reader.readexactly(length), ANSWER_SECONDS)
    return status


async def hold(address, count):
    gate = asyncio.Semaphore(AT_ONCE)
    connections = []

    async def open_one():
        async with gate:
            connection = await asyncio.open_connection(address, PORT)
            if await ask(*connection, "/public/file", address) == "200":
                connections.append(connection)

    await asyncio.gather(*(open_one() for _ in range(count)), return_exceptions=True)
    print("held %d of %d" % (len(connections), count), flush=True)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while await lines.readline():
        async def again(connection):
            async with gate:
                return await ask(*connection, "/public/file", address)

        answers = await asyncio.gather(*(again(each) for each in connections), return_exceptions=True)
        print("answered %d of %d" % (answers.count("200"), count), flush=True)


async def churn(address, rate, seconds):
    counts = {}

    async def one(number):
        try:
            reader, writer = await asyncio.open_connection(address, PORT)
            answer = await ask(reader, writer, "/public/file" if number % 2 == 0 else "/secret", address)
            writer.close()
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, IndexError) as error:
            answer = type(error).__name__
        if answer not in counts and answer not in ("200", "403"):
            print("the first of its kind: %s" % answer, file=sys.stderr, flush=True)
        counts[answer] = counts.get(answer, 0) + 1

    begin, number, running = time.monotonic(), 0, set()
    while number < rate * seconds:
        due = min(rate * seconds, int((time.monotonic() - begin) * rate))
        while number < due:
            task = asyncio.create_task(one(number))
            running.add(task)
            task.add_done_callback(running.discard)
            number += 1
        await asyncio.sleep(0.005)
    await asyncio.gather(*running)
    print(
        "200 %d 403 %d failed %d seconds %.0f"
        % (
            counts.get("200", 0),
            counts.get("403", 0),
            number - counts.get("200", 0) - counts.get("403", 0),
            time.monotonic() - begin,
        ),
        flush=True,
    )


mode, address, *numbers = sys.argv[1:]
asyncio.run({"hold": hold, "churn": churn}[mode](address, *map(int, numbers)))
