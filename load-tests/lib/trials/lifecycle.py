"""A new process takes over under load, and a process ends under load: no request is lost."""

import asyncio
import signal
import time

import steady
from subject import Subject
from trials import at_least, at_most, none_of, told

DRAIN = "drain: { timeout: 10s, lag: 0s }\n"
CLIENTS = 8


def upgrade(options, folder, backends):
    """SIGUSR2, three times."""
    return asyncio.run(upgraded(options, folder, backends))


def sigterm(options, folder, backends):
    """SIGTERM, as a container's end is told."""
    return asyncio.run(ended(options, folder, backends))


async def upgraded(options, folder, backends):
    subject = Subject(options, folder, backends)
    subject.more = DRAIN
    with subject:
        clients = steady.Load(CLIENTS, subject.plain, subject.tls)
        took = []
        for _ in range(3):
            await asyncio.sleep(1)
            old, began = subject.pids[-1], time.monotonic()
            subject.tell(signal.SIGUSR2)
            await asyncio.to_thread(subject.successor)
            while subject.is_there(old) and time.monotonic() - began < 30:
                await asyncio.sleep(0.02)
            took.append(time.monotonic() - began)
        await asyncio.sleep(1)
        await clients.end()
        return [none_of("failed", clients.failed, f" of {clients.answered:,}"),
                none_of("reset", clients.resets),
                at_least("requests", 1000, clients.answered),
                at_most("the old process is gone after", 15, max(took), " s"),
                *why(clients)]


async def ended(options, folder, backends):
    subject = Subject(options, folder, backends)
    subject.more = DRAIN
    with subject:
        clients = steady.Load(CLIENTS, subject.plain, subject.tls, stops_when_refused=True)
        await asyncio.sleep(2)
        began = time.monotonic()
        subject.tell(signal.SIGTERM)
        while subject.process.poll() is None and time.monotonic() - began < 30:
            await asyncio.sleep(0.02)
        took = time.monotonic() - began
        await clients.end()
        return [none_of("failed", clients.failed, f" of {clients.answered:,}"),
                none_of("reset", clients.resets),
                at_least("requests", 500, clients.answered),
                at_most("the process is gone after", 12, took, " s"),
                none_of("exit status", subject.process.poll() or 0),
                *why(clients)]


def why(clients):
    return [told("why", clients.reasons())] if clients.why else []
