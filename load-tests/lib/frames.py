"""HTTP/2 as frames that a well-behaved library would never send. Field blocks are literals only,
so that nothing has to be remembered."""

import socket
import ssl
import struct

from backends import HOST

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PRIORITISED = 1, 1, 4, 0x20


def frame(kind, flags, stream, payload=b""):
    length = struct.pack(">I", len(payload))[1:]
    return length + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    """A field that is not to be remembered (RFC 7541, section 6.2.2)."""
    name, value = name.encode(), value.encode()
    assert len(name) < 127 and len(value) < 127
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def block(method="GET", path="/small", *fields):
    head = [(":method", method), (":scheme", "http"), (":authority", "shop.example"),
            (":path", path), *fields]
    return b"".join(literal(name, value) for name, value in head)


class Closed(Exception):
    """The other side has ended the connection."""


class Client:
    """One connection, blocking, that reads what there is and remembers what matters."""

    def __init__(self, port, tls=None, timeout=5.0):
        self.socket = socket.create_connection((HOST, port), timeout)
        # Else what was sent waits for an acknowledgement, and is counted all the same.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            tls.set_alpn_protocols(["h2"])
            self.socket = tls.wrap_socket(self.socket, server_hostname="shop.example")
        self.buffer = b""
        self.resets = self.answers = 0
        self.last_goaway = None
        self.send(PREFACE + frame(SETTINGS, 0, 0))

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (OSError, ssl.SSLError) as error:
            raise Closed(str(error)) from error

    def look(self, wait=0.0):
        """Reads what has come; ends with Closed once the connection has."""
        self.socket.settimeout(wait or 0.0001)
        try:
            while True:
                data = self.socket.recv(65536)
                if not data:
                    raise Closed("end")
                self.buffer += data
                self.take()
                self.socket.settimeout(0.0001)
        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError as error:
            raise Closed(str(error)) from error
        finally:
            self.socket.settimeout(5.0)

    def take(self):
        while len(self.buffer) >= 9:
            length = int.from_bytes(self.buffer[:3], "big")
            if len(self.buffer) < 9 + length:
                return
            kind, flags = self.buffer[3], self.buffer[4]
            payload = self.buffer[9:9 + length]
            self.buffer = self.buffer[9 + length:]
            if kind == SETTINGS and not flags & ACK:
                self.send(frame(SETTINGS, ACK, 0))
            elif kind == RST_STREAM:
                self.resets += 1
            elif kind == HEADERS:
                self.answers += 1
            elif kind == GOAWAY:
                self.last_goaway = int.from_bytes(payload[4:8], "big")
                raise Closed(f"GOAWAY with {self.last_goaway}")

    def close(self):
        self.socket.close()
