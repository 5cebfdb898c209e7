"""What stands behind every proxy: one nginx worker with two ports, stable and canary."""

import os
import subprocess

import measure

HOST = "127.0.0.1"


class Backends:
    """Listens on every loopback address, so that 5,000 endpoints can be one process."""

    def __init__(self, folder):
        self.folder = folder
        self.stable, self.canary = measure.free_port(), measure.free_port()
        self.process = None

    def __enter__(self):
        self.folder.mkdir(parents=True)
        (self.folder / "large").write_bytes(b"x" * 65536)
        (self.folder / "huge").write_bytes(b"x" * (8 << 20))
        self.make_certificate()
        config = self.folder / "nginx.conf"
        config.write_text(self.config())
        _, core = measure.cores()
        log = self.folder / "log"
        self.process = measure.start(nginx_command(config, self.folder), core, log)
        for port in (self.stable, self.canary):
            measure.wait_ready(port, self.process, log)
        return self

    def __exit__(self, *_):
        measure.end(self.process)

    def make_certificate(self):
        """For the proxies: ECDSA on P-256, as most sites have today."""
        folder = self.folder / "tls"  # apart from what is served: proxies may watch it
        folder.mkdir()
        self.certificate, self.key = folder / "cert.pem", folder / "key.pem"
        self.both = folder / "both.pem"
        measure.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                     "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
                     "/CN=shop.example", "-addext", "subjectAltName=DNS:shop.example",
                     "-keyout", str(self.key), "-out", str(self.certificate)],
                    stderr=subprocess.DEVNULL)
        self.both.write_text(self.certificate.read_text() + self.key.read_text())

    def pin(self, cores):
        """Moves it to other cores."""
        for member in measure.tree(self.process.pid):
            os.sched_setaffinity(member, cores)

    def config(self):
        small, body = "s" * 100, "b" * 1000
        fields = """
            add_header Cache-Control "private, max-age=0, must-revalidate";
            add_header ETag 'W/"5f0c3e1a9b7d4c2e8f6a"';
            add_header Vary "Accept-Encoding, Cookie";
            add_header X-Frame-Options SAMEORIGIN;"""
        servers = "".join(f"""
    server {{
        listen 0.0.0.0:{port} reuseport backlog=4096;
        default_type text/plain;
        add_header X-Version {name};
        location = /small {{ return 200 "{small}"; }}
        location = /head {{ add_header X-Version {name};{fields}
            return 200 "{body}"; }}
        location = /large {{ root {self.folder}; }}
        location = /huge {{ root {self.folder}; }}
        location = /post {{ return 200 "{small}"; }}
        location = /who {{ add_header X-Version {name};
            add_header X-Client $http_x_forwarded_for; return 200; }}
    }}""" for name, port in (("stable", self.stable), ("canary", self.canary)))
        return nginx_frame(self.folder, servers)


def nginx_frame(folder, inner, workers=1, log="warn"):
    """What is around the servers of an nginx, be it the backends or a contestant."""
    return f"""
worker_processes {workers};
daemon off;
pid {folder}/pid;
error_log {folder}/error {log};
events {{ worker_connections {measure.file_limit() - 200}; multi_accept on; }}
http {{
    access_log off;
    server_tokens off;
    sendfile on;
    tcp_nodelay on;
    keepalive_timeout 300s;
    keepalive_requests 1000000000;
    client_body_buffer_size 64k;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{inner}
}}
"""


def nginx_command(config, folder):
    return ["nginx", "-p", str(folder), "-e", str(folder / "error"), "-c", str(config)]
