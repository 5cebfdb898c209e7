"""Long-lived streams on a canary that a person aborts: none is left at the deadline, and their
clients do not all come back at once."""

import asyncio
import base64
import contextlib
import os
import time

import frames
from frames import DATA, END_HEADERS, HEADERS, RST_STREAM, frame
from origin import Origin
from subject import HOST, Subject
from trials import Figure, at_least, at_most, none_of, told

DEADLINE, SPREAD = 30, 20
WEBSOCKETS, STREAMS, STREAMS_EACH = 2000, 500, 25
KINDS = ("ws", "grpc")


def run(options, folder, backends):
    with contextlib.ExitStack() as stack:
        origins = {name: stack.enter_context(Origin(name)) for kind in KINDS
                   for name in (f"{kind}-stable", f"{kind}-canary")}
        subject = Subject(options, folder, backends)
        for name, origin in origins.items():
            protocol = "h2c" if name.startswith("grpc") else "h1"
            subject.upstreams[name] = (f'{{ static: ["{HOST}:{origin.port}"], '
                                       f"protocol: {protocol}, timeouts: {{ body_idle: 300s }} }}")
        subject.splits = "".join(split(kind) for kind in KINDS) + subject.splits
        subject.listener = ("timeouts: { idle: 300s, body_idle: 300s }\n"
                            "    limits: { min_rate: none }")
        subject.more = (f"drain: {{ long_lived: {{ deadline: {DEADLINE}s, "
                        f"spread: {SPREAD}s }} }}\n")
        stack.enter_context(subject)
        return asyncio.run(rolled_back(subject, origins))


def split(kind):
    return f"""  {kind}:
    match: {{ path_prefix: /{kind} }}
    stable: {kind}-stable
    canary: {kind}-canary
    rollout: {{ steps: [{{ set_weight: 50% }}, {{ pause: {{}} }}], on_failure: notify }}
"""


class Ends:
    """When streams ended, and how."""

    def __init__(self):
        self.at, self.well = [], 0

    def add(self, well):
        self.at.append(time.monotonic())
        self.well += well

    def figures(self, name, streams, began):
        """None may be left, and no second may see much more than its part."""
        left = streams - len(self.at)
        seconds = [0] * SPREAD
        for at in self.at:
            seconds[min(SPREAD - 1, max(0, int(at - began)))] += 1
        crowd = max(seconds) / max(1e-9, len(self.at) / SPREAD)
        last = max(self.at, default=began) - began
        return [none_of(f"{name}: left at the deadline", left, f" of {streams:,}"),
                Figure(f"{name}: ends a second, most by mean", "< 3", f"{crowd:.2f}", crowd < 3),
                at_most(f"{name}: the last one ended after", DEADLINE, last, " s"),
                at_least(f"{name}: ended in good order", streams, self.well)]


async def rolled_back(subject, origins):
    sockets, calls = Ends(), Ends()
    tasks, connections = [], []
    try:
        await opened_until(origins["ws-canary"], WEBSOCKETS, 50,
                           lambda: tasks.append(asyncio.ensure_future(
                               websocket(subject.plain, sockets))))
        await opened_until(origins["grpc-canary"], STREAMS, 1,
                           lambda: connections.append(Calls(subject.plain, calls, tasks)))
        await asyncio.sleep(1)
        canary = {kind: origins[f"{kind}-canary"].streams for kind in KINDS}
        stable = sum(origins[f"{kind}-stable"].streams for kind in KINDS)
        early = len(sockets.at) + len(calls.at)
        began = time.monotonic()
        for kind in KINDS:
            await asyncio.to_thread(subject.ask, f"/v1/splits/{kind}:abort", "POST")
        await until(lambda: (len(sockets.at), len(calls.at)) == tuple(canary.values()), DEADLINE)
        await until(lambda: not held(origins), 5)
        kept = held(origins)
        lost = sum(origins[f"{kind}-stable"].ended for kind in KINDS)
        exposed = metric(await asyncio.to_thread(subject.ask, "/metrics"))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return [*sockets.figures("WebSocket", canary["ws"], began),
            *calls.figures("gRPC", canary["grpc"], began),
            none_of("ended before the abort", early),
            none_of("streams that the canary still has", sum(kept.values()), f" {kept or ''}"),
            none_of("streams of stable that were ended", lost, f" of {stable:,}"),
            none_of("metric of exposed streams", exposed) if exposed is not None
            else told("metric of exposed streams", "there is none")]


async def opened_until(origin, wanted, at_once, open_more):
    """Makes clients until the canary has enough of them."""
    limit = time.monotonic() + 60
    while origin.streams < wanted and time.monotonic() < limit:
        for _ in range(at_once):
            open_more()
        # Each of the versions gets half; what is under way is waited for.
        await asyncio.sleep(0.1)


def held(origins):
    """Streams that were not ended towards the canary, by kind."""
    canaries = {kind: origins[f"{kind}-canary"] for kind in KINDS}
    counts = {kind: it.streams - it.ended for kind, it in canaries.items()}
    return {kind: count for kind, count in counts.items() if count}


async def until(holds, limit):
    end = time.monotonic() + limit
    while not holds() and time.monotonic() < end:
        await asyncio.sleep(0.05)


def metric(text):
    """Exposed streams of canaries, if that is told."""
    lines = [line for line in text.splitlines()
             if "exposed_streams" in line and not line.startswith("#")]
    canary = [float(line.rsplit(" ", 1)[1]) for line in lines if '-canary"' in line]
    return int(sum(canary)) if lines else None


async def websocket(port, ends):
    """One that waits until it is told to go."""
    reader, writer = await asyncio.open_connection(HOST, port)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(f"GET /ws HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\n"
                 f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                 f"Sec-WebSocket-Key: {key}\r\n\r\n".encode())
    well = False
    try:
        await reader.readuntil(b"\r\n\r\n")
        told_ = await reader.read(4)
        well = told_ == b"\x88\x02\x03\xf4"  # close, 1012: come again
        ends.add(well)
        writer.write(b"\x88\x82" + bytes(4) + b"\x03\xf4")
        await reader.read()
    except (OSError, asyncio.IncompleteReadError):
        if not well:
            ends.add(False)
    finally:
        writer.close()


class Calls:
    """A connection of HTTP/2 with so many calls that do not end by themselves."""

    def __init__(self, port, ends, tasks):
        self.ends, self.open = ends, set()
        tasks.append(asyncio.ensure_future(self.serve(port)))

    async def serve(self, port):
        reader, writer = await asyncio.open_connection(HOST, port)
        fields = frames.block("POST", "/grpc/calls", ("content-type", "application/grpc"),
                              ("te", "trailers"))
        writer.write(frames.PREFACE + frame(frames.SETTINGS, 0, 0))
        for stream in range(1, 2 * STREAMS_EACH, 2):
            self.open.add(stream)
            writer.write(frame(HEADERS, END_HEADERS, stream, fields)
                         + frame(DATA, 0, stream, bytes(5)))
        try:
            while True:
                start = await reader.readexactly(9)
                await reader.readexactly(int.from_bytes(start[:3], "big"))
                kind, flags = start[3], start[4]
                stream = int.from_bytes(start[5:], "big")
                if kind == frames.SETTINGS and not flags & frames.ACK:
                    writer.write(frame(frames.SETTINGS, frames.ACK, 0))
                elif kind == RST_STREAM or (kind in (HEADERS, DATA) and flags & frames.END_STREAM):
                    if stream in self.open:
                        self.open.remove(stream)
                        # With trailers, or at least with a reset that says why.
                        self.ends.add(True)
        except (OSError, asyncio.IncompleteReadError):
            for _ in self.open:
                self.ends.add(False)
        finally:
            writer.close()
