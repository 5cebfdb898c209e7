"""What a container finds around itself, on loopback: a name server and an origin with TLS.

`neighbours.py NAME PORT CERT KEY` answers every question for an address of NAME with 127.0.0.1 on
port 53, and requests over TLS on PORT; it says "ready" when it does both.
"""
import http.server
import socket
import ssl
import struct
import sys
import threading

NAME, PORT, CERT, KEY = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]


def answer(question):
    """The answer to one question of DNS (RFC 1035): 127.0.0.1 for an A of NAME, else nothing."""
    labels, at = [], 12
    while question[at]:
        labels.append(question[at + 1 : at + 1 + question[at]].decode())
        at += 1 + question[at]
    kind, at = struct.unpack(">H", question[at + 1 : at + 3])[0], at + 5
    is_known = ".".join(labels).lower() == NAME
    has_address = is_known and kind == 1
    flags = 0x8180 if is_known else 0x8183
    head = question[:2] + struct.pack(">5H", flags, 1, int(has_address), 0, 0)
    record = struct.pack(">3HIH4B", 0xC00C, 1, 1, 5, 4, 127, 0, 0, 1)
    return head + question[12:at] + (record if has_address else b"")


def names(server):
    while True:
        question, client = server.recvfrom(512)
        server.sendto(answer(question), client)


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b"over TLS, by name\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
threading.Thread(target=names, args=(server,), daemon=True).start()
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(CERT, KEY)
origin = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Origin)
origin.socket = tls.wrap_socket(origin.socket, server_side=True)
print("ready", flush=True)
origin.serve_forever()
