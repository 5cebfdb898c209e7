"""A stable version and a canary that can be told to misbehave, in a thread of their own."""

import asyncio
import random
import threading

HOST = "127.0.0.1"


class Version:
    """One version: it names itself in each answer."""

    def __init__(self, name):
        self.name = name
        self.failing = 0.0  # the part of the requests that are answered 500
        self.requests = 0
        self.chance = random.Random(7)
        self.writers = set()

    async def serve(self, reader, writer):
        self.writers.add(writer)
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.requests += 1
                is_bad = self.chance.random() < self.failing
                status = b"500 Internal Server Error" if is_bad else b"200 OK"
                body = self.name.encode()
                writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\nX-Version: %s\r\n\r\n%s"
                             % (status, len(body), body, body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()


class Origins:
    """Both versions, each on a port of its own."""

    def __init__(self):
        self.stable, self.canary = Version("stable"), Version("canary")
        self.loop = asyncio.new_event_loop()
        self.servers, self.ports = {}, {}
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        for version in (self.stable, self.canary):
            self.ports[version.name] = self.call(self.listen(version, 0))

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    async def listen(self, version, port):
        server = await asyncio.start_server(version.serve, HOST, port)
        self.servers[version.name] = server
        return server.sockets[0].getsockname()[1]

    async def close(self, version):
        self.servers[version.name].close()
        for writer in list(version.writers):
            writer.close()

    def kill_canary(self):
        """Nobody listens at its port any more, and its connections are gone."""
        self.call(self.close(self.canary))

    def mend(self):
        """Both as they were."""
        self.canary.failing = 0.0
        if not self.servers["canary"].is_serving():
            self.call(self.listen(self.canary, self.ports["canary"]))
