"""Clients that come, misbehave and go, for long: memory and open files stay as they are."""

import asyncio
import os
import random
import ssl
import time

import frames
import steady
from subject import HOST, Subject
from trials import at_least, at_most, none_of, told

AT_ONCE = 24


def run(options, folder, backends):
    return asyncio.run(soaked(options, folder, backends))


async def soaked(options, folder, backends):
    with Subject(options, folder, backends) as subject:
        await churned(subject, min(5, options.seconds / 4))  # pools and buffers are made
        await asyncio.sleep(5)  # unused connections to endpoints are let go
        rest = subject.files()
        good = steady.Load(2, subject.plain, subject.tls)
        count, quarters = await churned(subject, options.seconds)
        await good.end()
        left = await asyncio.to_thread(subject.settled, rest)
    memory = [sum(kib for kib, _ in it) / len(it) / 1024 for it in quarters]
    files = [max(count for _, count in it) for it in quarters]
    return [at_most("memory, last quarter less the second", 2, memory[3] - memory[1], " MiB"),
            at_most("open files after it, less before", 0, left - rest, digits=0),
            none_of("failed or reset beside it", good.failed + good.resets,
                    f" of {good.answered:,}"),
            at_least("misbehaving clients", 20 * options.seconds, count),
            told("RSS by quarter", " ".join(f"{it:.1f}" for it in memory) + " MiB"),
            told("most open files by quarter", " ".join(map(str, files)))]


async def churned(subject, seconds):
    """How many clients misbehaved, and memory and files by quarter."""
    began = time.monotonic()
    until, count, quarters = began + seconds, 0, [[], [], [], []]

    async def one():
        nonlocal count
        while time.monotonic() < until:
            habit = random.choice(HABITS)
            try:
                await asyncio.wait_for(habit(subject), 5)
            except (OSError, ssl.SSLError, asyncio.TimeoutError, asyncio.IncompleteReadError):
                pass  # that is how most of them end
            count += 1
            await asyncio.sleep(0.002)

    clients = [asyncio.ensure_future(one()) for _ in range(AT_ONCE)]
    while time.monotonic() < until:
        at = min(3, int(4 * (time.monotonic() - began) / seconds))
        quarters[at].append((subject.rss(), subject.files()))
        await asyncio.sleep(min(1.0, seconds / 40))
    await asyncio.gather(*clients)
    return count, quarters


async def opened(port):
    return await asyncio.open_connection(HOST, port)


async def aborted_upload(subject):
    _, writer = await opened(subject.plain)
    writer.write(b"POST /post HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 100000\r\n\r\n"
                 + b"x" * random.randrange(20_000))
    await writer.drain()
    await asyncio.sleep(random.random() / 50)
    writer.transport.abort()


async def vanished(subject):
    reader, writer = await opened(subject.plain)
    writer.write(b"GET /large HTTP/1.1\r\nHost: shop.example\r\n\r\n")
    await reader.read(random.randrange(1, 5000))
    writer.transport.abort()


async def half_a_head(subject):
    _, writer = await opened(subject.plain)
    writer.write(steady.REQUEST[:random.randrange(1, len(steady.REQUEST))])
    await asyncio.sleep(0.01)
    writer.close()


async def garbage(subject):
    reader, writer = await opened(random.choice([subject.plain, subject.tls]))
    writer.write(os.urandom(random.randrange(1, 3000)) + b"\r\n\r\n")
    writer.write_eof()
    await reader.read()
    writer.close()


async def broken_handshake(subject):
    """A hello without its end, or a goodbye right after the handshake."""
    if random.random() < 0.5:
        _, writer = await opened(subject.tls)
        writer.write(bytes.fromhex("160301020001000001fc0303") + os.urandom(40))
        await asyncio.sleep(0.01)
    else:
        _, writer = await asyncio.open_connection(HOST, subject.tls, ssl=steady.anybody())
    writer.transport.abort()


async def resets(subject):
    """Streams of HTTP/2 that are begun and taken back."""
    reader, writer = await opened(subject.plain)
    flags, cancel = frames.END_HEADERS | frames.END_STREAM, bytes([0, 0, 0, 8])
    streams = range(1, 2 * random.randrange(2, 150), 2)
    writer.write(frames.PREFACE + frames.frame(frames.SETTINGS, 0, 0) + b"".join(
        frames.frame(frames.HEADERS, flags, stream, frames.block())
        + frames.frame(frames.RST_STREAM, 0, stream, cancel) for stream in streams))
    await reader.read(100)
    writer.transport.abort()


async def ordinary(subject):
    reader, writer = await opened(subject.plain)
    writer.write(steady.REQUEST)
    try:
        await steady.answer(reader)
    except steady.Closed:
        pass
    writer.close()


HABITS = [aborted_upload, vanished, half_a_head, garbage, broken_handshake, resets, ordinary]
