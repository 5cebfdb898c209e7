"""What one connection of each kind costs, in memory that is ours (PSS)."""

import socket
import time

import frames
import measure
import steady
from subject import HOST, Subject
from trials import at_most, told

# Nothing is to be cut off while it is measured.
PATIENT = ("timeouts: { idle: 300s, request_header: 300s, body_idle: 300s }\n"
           "    limits: { min_rate: none, max_connections: 20000 }")
HALF = (b"GET /head HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: "
        + b"Mozilla/5.0 (X11; Linux x86_64) " * 8)


def run(options, folder, backends):
    figures = []
    for number, (name, count, limit, connect) in enumerate(KINDS):
        subject = Subject(options, folder / str(number), backends)
        subject.listener = PATIENT
        with subject:
            each = cost(subject, count, connect)
        name = f"{name}, of {count:,}"
        figures.append(at_most(name, limit, each, " KiB") if limit
                       else told(name, f"{each:.1f} KiB"))
    return figures


def cost(subject, count, connect):
    context = steady.anybody()
    clients = [connect(subject, 0, context) for _ in range(20)]  # what is made once, is there
    before = settled(subject)
    try:
        clients += [connect(subject, number, context) for number in range(count)]
        return (settled(subject) - before) / count
    finally:
        for client in clients:
            client.close()


def settled(subject):
    """The memory once it does not move any more, 10 s at most."""
    until, last = time.monotonic() + 10, -1
    while time.monotonic() < until:
        time.sleep(0.7)
        now = subject.pss()
        if abs(now - last) < 16:
            return now
        last = now
    return last


def connected(port, number, timeout=5):
    # One address has only so many ports.
    return socket.create_connection((HOST, port), timeout, (f"127.0.1.{1 + number // 4000}", 0))


def answered(client):
    client.sendall(steady.REQUEST)
    seen = b""
    while b"s" * 100 not in seen:
        piece = client.recv(4096)
        if not piece:
            raise measure.Failed("a connection ended before its answer")
        seen += piece
    return client


def idle(subject, number, _):
    return answered(connected(subject.plain, number))


def partial(subject, number, _):
    client = connected(subject.plain, number)
    client.sendall(HALF)
    return client


def never_reading(subject, number, _):
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((HOST, subject.plain))
    client.sendall(b"GET /huge HTTP/1.1\r\nHost: shop.example\r\n\r\n")
    return client


def idle_tls(subject, number, context):
    plain = connected(subject.tls, number)
    return answered(context.wrap_socket(plain, server_hostname="shop.example"))


def idle_h2(subject, _, context):
    client = frames.Client(subject.tls, context)
    flags = frames.END_HEADERS | frames.END_STREAM
    client.send(frames.frame(frames.HEADERS, flags, 1, frames.block()))
    until = time.monotonic() + 5
    while not client.answers:
        if time.monotonic() > until:
            raise measure.Failed("no answer by HTTP/2")
        client.look(0.5)
    return client


# Name, how many, KiB that are allowed (None: told only), how one is made.
KINDS = [
    ("idle", 2000, 4, idle),
    ("half a head", 2000, 8, partial),
    ("never-reading client of 8 MB", 200, 32, never_reading),
    ("idle, TLS", 2000, 20, idle_tls),
    ("idle, HTTP/2 over TLS", 1000, None, idle_h2),
]
