"""A conforming origin that answers with what it was asked, in HTTP/1.1."""

import contextlib
import email.utils
import socket
import threading


class Origin:
    """Serves until the program ends. `POST` gets its body back, `/echo` its fields, `/cookie` its
    cookies, `/bytes/N` that many bytes; all else gets `OK`."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            stream, _ = self.listener.accept()
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=serve, args=(stream,), daemon=True).start()


def serve(stream):
    with stream, contextlib.suppress(OSError, ValueError, EOFError):
        reader = stream.makefile("rb")
        while exchange(stream, reader):
            pass


def exchange(stream, reader):
    """One request and its answer; whether another may follow."""
    line = reader.readline()
    if not line:
        return False
    method, target, version = line.decode("latin-1").strip().split(" ")
    fields = list(read_fields(reader))
    named = {name.lower(): value for name, value in fields}
    if named.get("expect", "").lower() == "100-continue":
        stream.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = read_body(reader, named)
    status, extra, content = answer(method, target, fields, body)
    head = (f"HTTP/1.1 {status}\r\nDate: {email.utils.formatdate(usegmt=True)}\r\n"
            f"Content-Type: text/plain\r\n{extra}Content-Length: {len(content)}\r\n\r\n")
    stream.sendall(head.encode() + (b"" if method == "HEAD" else content))
    return version == "HTTP/1.1" and named.get("connection", "").lower() != "close"


def read_fields(reader):
    while True:
        line = reader.readline()
        if not line:
            raise EOFError
        if line == b"\r\n":
            return
        name, value = line.decode("latin-1").split(":", 1)
        yield name, value.strip()


def read_body(reader, named):
    if named.get("transfer-encoding", "").lower() == "chunked":
        pieces = []
        while size := int(reader.readline().split(b";")[0], 16):
            pieces.append(reader.read(size))
            reader.readline()
        list(read_fields(reader))
        return b"".join(pieces)
    return reader.read(int(named.get("content-length", "0")))


def answer(method, target, fields, body):
    """Status, more fields, content."""
    allow = "Allow: GET, HEAD, POST, OPTIONS\r\n"
    path = target.split("?")[0]
    if path == "/echo":
        text = "".join(f"{name}: {value}\n" for name, value in fields)
        return "200 OK", "", text.encode("latin-1")
    if path == "/cookie":
        values = (value for name, value in fields if name.lower() == "cookie")
        pairs = (pair.strip() for value in values for pair in value.split(";"))
        text = "".join(f"{pair}\n" for pair in pairs if pair.find("=") > 0)
        return "200 OK", "", text.encode("latin-1")
    if path.startswith("/bytes/"):
        return "200 OK", "", b"x" * int(path.rsplit("/", 1)[1])
    if method in ("GET", "HEAD"):
        return "200 OK", "", b"OK"
    if method == "OPTIONS":
        return "200 OK", allow, b""
    if method == "POST":
        return "200 OK", "", body
    if method in ("PUT", "DELETE", "PATCH"):
        return "405 Method Not Allowed", allow, b"no"
    return "501 Not Implemented", "", b"no"
