"""Clients that forgive nothing: each request on a connection that was made is answered whole, or
it counts."""

import asyncio
import ssl
import time

from backends import HOST

REQUEST = b"GET /small HTTP/1.1\r\nHost: shop.example\r\n\r\n"


def anybody():
    """A client's TLS that asks for no name: who answers is not what is tried here."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Closed(Exception):
    """The connection ended where an answer was due."""


async def answer(reader):
    """Reads one answer with a length; its status, and whether the connection stays."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError as error:
        raise Closed(f"after {len(error.partial)} bytes of an answer") from error
    lines = head.lower().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    try:
        await reader.readexactly(int(fields.get("content-length", 0)))
    except asyncio.IncompleteReadError as error:
        raise Closed("within the body of an answer") from error
    return int(lines[0].split(" ")[1]), fields.get("connection") != "close"


class Load:
    """So many clients of each habit: one keeps its connection, one rests between two requests,
    one makes a connection for each."""

    def __init__(self, clients, plain, tls=None, stops_when_refused=False):
        self.plain, self.tls = plain, tls
        self.stops_when_refused = stops_when_refused
        self.context = anybody()
        self.answered = self.failed = self.resets = 0
        self.times, self.why = [], {}
        self.is_over = False
        habits = [self.keeps, self.rests, self.leaves]
        ports = [(plain, None)] + ([(tls, self.context)] if tls else [])
        self.tasks = [asyncio.ensure_future(self.client(habit, *port))
                      for _ in range(clients) for habit in habits for port in ports]

    async def end(self, limit=30):
        """After the requests under way."""
        self.is_over = True
        await asyncio.wait(self.tasks, timeout=limit)
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def count(self, what, why):
        setattr(self, what, getattr(self, what) + 1)
        why = f"{what}: {why}"
        self.why[why] = self.why.get(why, 0) + 1

    def reasons(self):
        return "; ".join(f"{count} {why}" for why, count in self.why.items())

    async def client(self, habit, port, context):
        while not self.is_over:
            try:
                reader, writer = await asyncio.open_connection(HOST, port, ssl=context)
            except ConnectionRefusedError:
                if self.stops_when_refused:
                    return
                self.count("failed", "refused")
                await asyncio.sleep(0.05)
                continue
            except (OSError, ssl.SSLError) as error:
                self.count("failed", f"no connection: {error}")
                await asyncio.sleep(0.05)
                continue
            try:
                await habit(reader, writer)
            except (Closed, OSError, ssl.SSLError) as error:
                self.count("resets", f"{habit.__name__}: {error}")
            finally:
                writer.close()

    async def one(self, reader, writer):
        began = time.monotonic()
        writer.write(REQUEST)
        status, stays = await answer(reader)
        self.times.append(time.monotonic() - began)
        if status == 200:
            self.answered += 1
        else:
            self.count("failed", f"status {status}")
        return stays

    async def keeps(self, reader, writer):
        while not self.is_over and await self.one(reader, writer):
            # Many clients, each at a person's pace, and no more than the machine can bear.
            await asyncio.sleep(0.01)

    async def rests(self, reader, writer):
        while not self.is_over and await self.one(reader, writer):
            # A connection at rest may be closed; a client that sees it in time makes another.
            await asyncio.sleep(0.25)
            if reader.at_eof():
                return

    async def leaves(self, reader, writer):
        await self.one(reader, writer)
        await asyncio.sleep(0.02)
