"""The contestants: a fair, tuned configuration for each, all for the same 90/10 split.

All: one worker or thread, keep-alive on both sides, X-Forwarded-For added, no access log.
"""

import re
import shlex
import subprocess

import measure

HOST = "127.0.0.1"


class Backends:
    """One nginx worker with two addresses: the stable and the canary version."""

    def __init__(self, folder):
        self.folder = folder
        self.stable, self.canary = measure.free_port(), measure.free_port()
        self.process = None

    def __enter__(self):
        self.folder.mkdir(parents=True)
        (self.folder / "large").write_bytes(b"x" * 65536)
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

    def config(self):
        small, body = "s" * 100, "b" * 1000
        fields = """
            add_header Cache-Control "private, max-age=0, must-revalidate";
            add_header ETag 'W/"5f0c3e1a9b7d4c2e8f6a"';
            add_header Vary "Accept-Encoding, Cookie";
            add_header X-Frame-Options SAMEORIGIN;"""
        servers = "".join(f"""
    server {{
        listen {HOST}:{port} reuseport backlog=4096;
        default_type text/plain;
        add_header X-Version {name};
        location = /small {{ return 200 "{small}"; }}
        location = /head {{ add_header X-Version {name};{fields}
            return 200 "{body}"; }}
        location = /large {{ root {self.folder}; }}
        location = /post {{ return 200 "{small}"; }}
    }}""" for name, port in (("stable", self.stable), ("canary", self.canary)))
        return nginx_frame(self.folder, servers)


def nginx_frame(folder, inner):
    return f"""
worker_processes 1;
daemon off;
pid {folder}/pid;
error_log {folder}/error warn;
events {{ worker_connections 18000; multi_accept on; }}
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


class Peer:
    """A proxy: how it is configured and started."""

    name = ""

    def __init__(self, binary, folder, backends):
        self.binary, self.folder, self.backends = binary, folder, backends
        self.log = folder / "log"
        self.port = self.process = None
        folder.mkdir(parents=True)

    def command(self, scenario):
        raise NotImplementedError

    def version(self):
        raise NotImplementedError

    def start(self, scenario):
        """Starts it anew for one measurement."""
        self.port = measure.free_port()
        core, _ = measure.cores()
        self.process = measure.start(self.command(scenario), core, self.log)
        measure.wait_ready(self.port, self.process, self.log)

    def stop(self):
        if self.process is not None:
            measure.end(self.process)
            self.process = None


class Haproxy(Peer):
    name = "haproxy"

    def command(self, scenario):
        config = self.folder / "haproxy.cfg"
        bufsize = "    tune.bufsize 65536\n" if scenario.big_buffers else ""
        cookie = "    cookie shop_ver insert indirect nocache\n" if scenario.sticky else ""
        key = (lambda name: f" cookie {name}") if scenario.sticky else (lambda name: "")
        config.write_text(f"""
global
    nbthread 1
    maxconn 9000
{bufsize}
defaults
    mode http
    http-reuse always
    option forwardfor
    timeout connect 5s
    timeout client 300s
    timeout server 60s
    timeout http-keep-alive 300s
frontend edge
    bind {HOST}:{self.port} backlog 4096
    default_backend shop
backend shop
    balance roundrobin
{cookie}    server stable {HOST}:{self.backends.stable} weight 90{key("stable")}
    server canary {HOST}:{self.backends.canary} weight 10{key("canary")}
""")
        return [self.binary, "-db", "-f", str(config)]

    def version(self):
        return measure.run([self.binary, "-v"]).splitlines()[0]


class Nginx(Peer):
    name = "nginx"

    def command(self, scenario):
        config = self.folder / "nginx.conf"
        config.write_text(nginx_frame(self.folder, self.inner(scenario)))
        return nginx_command(config, self.folder)

    def inner(self, scenario):
        stable, canary = self.backends.stable, self.backends.canary
        target, extra, upstreams = "shop", "", f"""
    upstream shop {{
        server {HOST}:{stable} weight=9 max_fails=0;
        server {HOST}:{canary} weight=1 max_fails=0;
        keepalive 512;
        keepalive_requests 1000000000;
    }}"""
        if scenario.sticky:
            target = "$version"
            extra = "add_header Set-Cookie $remember;"
            upstreams = "".join(f"""
    upstream {name} {{
        server {HOST}:{port} max_fails=0;
        keepalive 512;
        keepalive_requests 1000000000;
    }}""" for name, port in (("stable", stable), ("canary", canary))) + """
    split_clients $request_id $fresh { 10% canary; * stable; }
    map $cookie_shop_ver $version { stable stable; canary canary; default $fresh; }
    map $cookie_shop_ver $remember { stable ""; canary ""; default "shop_ver=$fresh; Path=/"; }"""
        return f"""{upstreams}
    server {{
        listen {HOST}:{self.port} reuseport backlog=4096;
        location / {{
            proxy_pass http://{target};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_buffer_size 16k;
            proxy_buffers 16 16k;
            proxy_request_buffering off;
            {extra}
        }}
    }}"""

    def version(self):
        done = subprocess.run([self.binary, "-v"], capture_output=True, text=True, check=False)
        return done.stderr.strip()


class Serin(Peer):
    name = "serin"

    def command(self, scenario):
        config = self.folder / "serin.yaml"
        sticky = "    sticky: { cookie: shop_ver }\n" if scenario.sticky else ""
        config.write_text(f"""version: 1
listeners:
  - name: edge
    address: "{HOST}:{self.port}"
    timeouts: {{ idle: 300s }}
    limits: {{ max_connections: 9000 }}
admin: "{HOST}:{measure.free_port()}"
workers: 1
state_dir: "{self.folder}/state"
upstreams:
  stable: {{ static: ["{HOST}:{self.backends.stable}"] }}
  canary: {{ static: ["{HOST}:{self.backends.canary}"] }}
splits:
  shop:
    stable: stable
    canary: canary
    weight: 10%
{sticky}""")
        return [self.binary, "run", "-c", str(config)]

    def version(self):
        return measure.run([self.binary, "--version"]).strip()


class Other(Peer):
    """Any other proxy, by its command line."""

    def __init__(self, name, command, folder, backends):
        super().__init__(None, folder, backends)
        self.name, self.template = name, command

    def command(self, scenario):
        filled = re.sub(r"\{(port|stable|canary)\}", self.fill, self.template)
        return shlex.split(filled)

    def fill(self, found):
        return str({"port": self.port, "stable": self.backends.stable,
                    "canary": self.backends.canary}[found.group(1)])

    def version(self):
        return self.template


KNOWN = {"haproxy": Haproxy, "nginx": Nginx, "serin": Serin}
