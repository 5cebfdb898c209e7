"""Serin as a contestant, and the variants of it that show what its features cost."""

import http.client
import json
import os
import sys
import time
from pathlib import Path

import measure
from backends import HOST
from peers import Peer, share_of_change

ROOT = Path(__file__).resolve().parent.parent.parent


class Serin(Peer):
    """As a user runs a canary: a rollout under way, judged on all metrics, with its record."""

    name = "serin"
    speaks_tls = True
    judged = True
    log_line = ""
    starts = 0
    binary = None

    @classmethod
    def missing(cls):
        return None  # it is built from here

    def refuses(self, scenario):
        return None

    def start(self, scenario):
        self.starts += 1  # with a state of its own: no decision of before is remembered
        super().start(scenario)

    def command(self, scenario):
        self.admin = measure.free_port(but=self.port)
        self.write(scenario, 10)
        return [program(self.options), "run", "-c", str(self.folder / "serin.yaml")]

    def ports(self):
        return {**super().ports(), "admin": self.admin}

    def named(self, text):
        return super().named(text).replace(f"/state-{self.starts}", "/state")

    def write(self, scenario, canary):
        """Puts a new file in the place of the old at once, as a careful script does."""
        new = self.folder / "next"
        new.write_text(self.config(scenario, canary))
        os.replace(new, self.folder / "serin.yaml")

    def config(self, scenario, canary):
        state = self.folder / f"state-{self.starts}"
        return f"""version: 1
listeners:
  - name: edge
    address: "{HOST}:{self.port}"
    timeouts: {{ idle: 300s }}
{self.tls(scenario)}    limits: {{ max_connections: {measure.file_limit()} }}
admin: "{HOST}:{self.admin}"
workers: {scenario.workers}
state_dir: "{state}"
{self.log_line.format(folder=self.folder)}{self.upstreams(scenario)}splits:
{self.other_splits(scenario.splits - 1)}  shop:
{self.split_of(scenario, canary)}"""

    def tls(self, scenario):
        if not scenario.tls:
            return ""
        pair = f"{{ cert: {self.backends.certificate}, key: {self.backends.key} }}"
        return f"    tls: {{ certificates: [{pair}] }}\n"

    def upstreams(self, scenario):
        ports = {"stable": self.backends.stable, "canary": self.backends.canary}
        counts = {"stable": max(1, scenario.endpoints * 9 // 10),
                  "canary": max(1, scenario.endpoints // 10)}
        text = "upstreams:\n"
        for name, port in ports.items():
            listed = ", ".join(f'"{address(number)}:{port}"' for number in range(counts[name]))
            text += (f"  {name}:\n    static: [{listed}]\n"
                     f"    max_idle_connections: {scenario.pool}\n")
        return text

    def other_splits(self, count):
        return "".join(f"""  shop-{number}:
    match: {{ hosts: [shop-{number}.example] }}
    stable: stable
    canary: canary
    weight: 10%
""" for number in range(count))

    def split_of(self, scenario, canary):
        text = "    stable: stable\n    canary: canary\n"
        if scenario.splits > 1:
            text += "    match: { hosts: [shop.example] }\n"
        if scenario.sticky:
            text += "    sticky: { cookie: shop_ver }\n"
        if scenario.changes:
            return text + f"    weight: {canary}%\n"
        # A verdict is told and changes no share: all rounds are measured at 10 %.
        return text + f"""    rollout:
      steps: [{{ set_weight: {canary}% }}, {{ pause: {{}} }}, {{ set_weight: 100% }}]
      on_failure: notify
    analysis: {{ warm_up: 1s, slo: {{ error_rate: 1% }}, absolute: [{{ error_rate: 5% }}] }}
"""

    def change(self, scenario, number):
        """By the file, as everybody can."""
        self.write(scenario, share_of_change(number))

    def ask(self, path):
        client = http.client.HTTPConnection(HOST, self.admin, timeout=10)
        try:
            client.request("GET", path)
            return json.loads(client.getresponse().read())
        finally:
            client.close()

    def changes_in_force(self):
        config = self.ask("/v1/config")
        if config["problem"]:
            raise measure.Failed(config["problem"])
        return config["reloads_succeeded"]

    def time_of_change(self, scenario, number):
        """Seconds from the rename of a new file until it is in force."""
        before = self.changes_in_force()
        new = self.folder / "next"
        new.write_text(self.config(scenario, share_of_change(number)))
        began = time.monotonic()
        os.replace(new, self.folder / "serin.yaml")
        while self.changes_in_force() == before:
            if time.monotonic() - began > 10:
                raise measure.Failed("a change is not in force after 10 s")
            time.sleep(0.001)
        return time.monotonic() - began

    def inspect(self, scenario):
        if not self.judged:
            return {}
        split = next(it for it in self.ask("/v1/splits")["splits"] if it["name"] == "shop")
        share, analysis = split["weight"]["effective"], split["analysis"]
        if share not in ("10%", "12%"):
            raise measure.Failed(f"the canary's share is {share}: {split['phase_reason']}")
        if analysis is None or analysis["canary_requests"] == 0:
            raise measure.Failed("nothing was judged")
        return {"judged": analysis["canary_requests"], "verdict": analysis["verdict"]}

    def version(self):
        return measure.run([program(self.options), "--version"]).strip()


class SerinLog(Serin):
    """With the access log beside: every failure, and one success of a hundred."""

    name = "serin+log"
    log_line = ('access_log: {{ path: "{folder}/access.log", '
                'sample: {{ success: 1%, failure: 100% }} }}\n')


class SerinLogFull(Serin):
    """With a line of the access log for each request."""

    name = "serin+log-full"
    log_line = 'access_log: {{ path: "{folder}/access.log" }}\n'


class SerinSpans(Serin):
    """As part of each trace, with one of a thousand recorded, for a collector that is not there."""

    name = "serin+spans"
    log_line = 'tracing: {{ otlp: "http://127.0.0.1:9", sample: 0.1% }}\n'


class SerinSpansFull(Serin):
    """The same with every trace recorded."""

    name = "serin+spans-full"
    log_line = 'tracing: {{ otlp: "http://127.0.0.1:9", sample: 100% }}\n'


class SerinBare(Serin):
    """As little as a file can ask for: one version, no canary, so nothing to draw or to judge."""

    name = "serin-bare"
    judged = False
    split = False

    def refuses(self, scenario):
        needs_canary = scenario.changes or scenario.sticky
        is_one = scenario.splits == scenario.endpoints == 1
        return None if is_one and not needs_canary else "it has no canary"

    def upstreams(self, scenario):
        listed = "".join(f'\n      - {{ address: "{HOST}:{port}", weight: {weight} }}'
                         for port, weight in ((self.backends.stable, 9), (self.backends.canary, 1)))
        return (f"upstreams:\n  stable:\n    static:{listed}\n"
                f"    max_idle_connections: {scenario.pool}\n")

    def split_of(self, scenario, canary):
        return "    stable: stable\n"


def address(number):
    """A loopback address of its own for each endpoint."""
    return f"127.{number // 62500}.{number // 250 % 250}.{number % 250 + 1}"


def program(options):
    """The release binary: what was given, or what is built here once."""
    if not options.serin:
        target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        options.serin = str(target / "release" / "serin")
        if not Path(options.serin).exists():
            print("building the release binary (cargo build --release --locked)", file=sys.stderr)
            measure.run(["cargo", "build", "--release", "--locked"], cwd=ROOT)
    return options.serin
