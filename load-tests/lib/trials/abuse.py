"""Floods of HTTP/2 frames: each ends its connection early, reaches the origin little, and costs no
memory."""

import time

import frames
import measure
from frames import (CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY,
                    RST_STREAM, SETTINGS, WINDOW_UPDATE, frame)
from origin import Origin
from subject import HOST, Subject
from trials import Figure, at_most, none_of

# Sent at most; so many at a time, then a look at what came back.
MOST, AT_ONCE = 20_000, 5
FRAMES = 200


def run(options, folder, backends):
    with Origin("origin") as origin:
        subject = Subject(options, folder, backends)
        subject.upstreams = {name: f'{{ static: ["{HOST}:{origin.port}"] }}'
                             for name in ("stable", "canary")}
        with subject:
            return [figure for name, attack in ATTACKS.items()
                    for figure in attacked(subject, origin, name, attack)]


def attacked(subject, origin, name, attack):
    before, asked = subject.pss(), origin.requests
    client = frames.Client(subject.plain)
    sent, most = 0, before
    cut = None
    try:
        client.look(0.2)
        for number in range(0, MOST, AT_ONCE):
            client.send(b"".join(attack(at) for at in range(number, number + AT_ONCE)))
            sent = number + AT_ONCE
            client.look(0.001)
            if sent % 500 == 0:
                most = max(most, subject.pss())
    except frames.Closed as closed:
        cut = closed
    finally:
        client.close()
    time.sleep(0.3)
    most = max(most, subject.pss())
    status, _ = measure.get(subject.plain)
    seen = f"{sent} ({cut})" if cut else f"not within {sent:,}"
    holds = cut is not None and sent <= FRAMES
    return [Figure(f"{name}: frames", f"<= {FRAMES}", seen, holds),
            at_most(f"{name}: requests at the origin", 200, origin.requests - asked - 1, digits=0),
            at_most(f"{name}: memory", 4, (most - before) / 1024, " MiB"),
            none_of(f"{name}: bystander refused", int(status != 200))]


def head(number, flags=END_HEADERS | END_STREAM):
    return frame(HEADERS, flags, 2 * number + 1, frames.block())


def rapid_reset(number):
    return head(number) + frame(RST_STREAM, 0, 2 * number + 1, bytes([0, 0, 0, 8]))


def no_increment(number):
    """A stream that we must reset: its window is widened by nothing (MadeYouReset)."""
    return head(number) + frame(WINDOW_UPDATE, 0, 2 * number + 1, bytes(4))


def overflow(number):
    """The same by a window that is wider than can be."""
    return head(number) + frame(WINDOW_UPDATE, 0, 2 * number + 1, b"\x7f\xff\xff\xff")


def after_the_end(number):
    """The same by content after the end."""
    return head(number) + frame(DATA, 0, 2 * number + 1, b"x")


def own_parent(number):
    """The same by a stream that depends on itself."""
    stream = 2 * number + 1
    return head(number) + frame(PRIORITY, 0, stream, stream.to_bytes(4, "big") + b"\0")


def continuation(number):
    if number == 0:
        return frame(HEADERS, END_STREAM, 1, frames.block())
    return frame(CONTINUATION, 0, 1, frames.literal(f"x-{number}", "y"))


def empty_data(number):
    return head(0, END_HEADERS) if number == 0 else frame(DATA, 0, 1)


def ping(number):
    return frame(PING, 0, 0, number.to_bytes(8, "big"))


def settings(_):
    return frame(SETTINGS, 0, 0)


def window_update(_):
    return frame(WINDOW_UPDATE, 0, 0, bytes([0, 0, 0, 1]))


ATTACKS = {
    "rapid reset": rapid_reset,
    "MadeYouReset, no increment": no_increment,
    "MadeYouReset, overflow": overflow,
    "MadeYouReset, after the end": after_the_end,
    "MadeYouReset, own parent": own_parent,
    "CONTINUATION": continuation,
    "PING": ping,
    "SETTINGS": settings,
    "empty DATA": empty_data,
    "WINDOW_UPDATE": window_update,
}
