"""An origin that counts: HTTP/1.1 with WebSockets, and as much HTTP/2 as a stream that never ends
needs. It runs in a thread of its own."""

import asyncio
import base64
import hashlib
import threading

import frames
from backends import HOST
from frames import END_HEADERS, HEADERS, RST_STREAM, SETTINGS, frame

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
BODY = b"s" * 100


class Origin:
    """On a port of its own while it is entered."""

    def __init__(self, name):
        self.name = name
        self.requests = 0
        # Streams that were begun, and how many of them the other side has ended.
        self.streams = self.ended = 0

    def __enter__(self):
        self.loop = asyncio.new_event_loop()
        start = asyncio.start_server(self.serve, HOST, 0, backlog=4096)
        server = self.loop.run_until_complete(start)
        self.port = server.sockets[0].getsockname()[1]
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)

    async def serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"PRI "):
                    await self.serve_h2(reader, writer)
                    return
                self.requests += 1
                if b"\nupgrade: websocket" in head.lower():
                    await self.serve_websocket(head, reader, writer)
                    return
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + BODY)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def serve_websocket(self, head, reader, writer):
        fields = dict(line.lower().split(b": ", 1) if line.lower().startswith(b"x") else
                      (line.split(b": ", 1)[0].lower(), line.split(b": ", 1)[1])
                      for line in head.split(b"\r\n")[1:] if b": " in line)
        proof = base64.b64encode(hashlib.sha1(fields[b"sec-websocket-key"] + GUID).digest())
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                     b"Upgrade: websocket\r\nSec-WebSocket-Accept: " + proof
                     + b"\r\nX-Version: " + self.name.encode() + b"\r\n\r\n")
        self.streams += 1
        try:
            while (data := await reader.read(4096)) and data[0] & 0xf != 8:
                pass  # until it is told to close
        finally:
            self.ended += 1

    async def serve_h2(self, reader, writer):
        """Every request is answered with a head and one message, and no end."""
        await reader.readexactly(6)
        writer.write(frame(SETTINGS, 0, 0, bytes([0, 3]) + (4000).to_bytes(4, "big")))
        open_ = set()
        try:
            while True:
                start = await reader.readexactly(9)
                payload = await reader.readexactly(int.from_bytes(start[:3], "big"))
                kind, flags = start[3], start[4]
                stream = int.from_bytes(start[5:], "big")
                if kind == SETTINGS and not flags & frames.ACK:
                    writer.write(frame(SETTINGS, frames.ACK, 0))
                elif kind == frames.PING and not flags & frames.ACK:
                    writer.write(frame(frames.PING, frames.ACK, 0, payload))
                elif kind == HEADERS and stream not in open_:
                    open_.add(stream)
                    self.requests += 1
                    self.streams += 1
                    fields = frames.literal("content-type", "application/grpc")
                    writer.write(frame(HEADERS, END_HEADERS, stream, b"\x88" + fields)
                                 + frame(frames.DATA, 0, stream, bytes([0, 0, 0, 0, 1, 0])))
                elif kind == RST_STREAM and stream in open_:
                    open_.remove(stream)
                    self.ended += 1
        finally:
            self.ended += len(open_)
