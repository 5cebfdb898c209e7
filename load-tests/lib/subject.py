"""The Serin that a trial is made on: its file, its processes, its memory and open files."""

import http.client
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import measure
from backends import HOST

SPLIT = """  shop:
    stable: stable
    canary: canary
    weight: 10%
"""
CERTIFICATES = 4


class Subject:
    """One Serin with a plain listener and one with TLS, both for all protocols."""

    def __init__(self, options, folder, backends):
        self.options, self.folder, self.backends = options, folder, backends
        self.upstreams = {"stable": f'{{ static: ["{HOST}:{backends.stable}"] }}',
                          "canary": f'{{ static: ["{HOST}:{backends.canary}"] }}'}
        self.splits, self.more = SPLIT, ""
        self.listener = "timeouts: { idle: 300s }"
        self.pair = 0
        self.log = folder / "log"
        self.pids = []
        folder.mkdir(parents=True)
        for number in range(CERTIFICATES):
            make_pair(folder / f"pair-{number}")

    def start(self):
        self.plain = measure.free_port()
        self.tls = measure.free_port(but=self.plain)
        self.admin = measure.free_port(but=self.tls)
        self.write()
        command = [self.options.serin, "run", "-c", str(self.folder / "serin.yaml")]
        self.process = measure.start(command, measure.cores(self.options.workers)[0], self.log)
        self.pids = [self.process.pid]
        measure.wait_ready(self.plain, self.process, self.log)
        measure.wait_ready(self.tls, self.process, self.log, tls=True)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        for pid in self.pids[1:]:
            if is_ours(pid, self.options.serin):
                os.kill(pid, signal.SIGKILL)
        measure.end(self.process)

    def write(self):
        """Puts a new file in the place of the old at once."""
        new = self.folder / "next"
        new.write_text(self.config())
        os.replace(new, self.folder / "serin.yaml")

    def config(self):
        pair = self.folder / f"pair-{self.pair}"
        upstreams = "".join(f"  {name}: {what}\n" for name, what in self.upstreams.items())
        return f"""version: 1
listeners:
  - name: plain
    address: "{HOST}:{self.plain}"
    protocols: [h1, h2c, grpc, websocket]
    {self.listener}
  - name: tls
    address: "{HOST}:{self.tls}"
    tls: {{ certificates: [{{ cert: {pair}.cert, key: {pair}.key }}] }}
    {self.listener}
admin: "{HOST}:{self.admin}"
workers: {self.options.workers}
state_dir: "{self.folder}/state"
upstreams:
{upstreams}splits:
{self.splits}{self.more}"""

    def ask(self, path, method="GET"):
        client = http.client.HTTPConnection(HOST, self.admin, timeout=10)
        try:
            body = "{}" if method == "POST" else None
            client.request(method, path, body, {"Content-Type": "application/json"})
            answer = client.getresponse()
            text = answer.read()
            if answer.status >= 300:
                raise measure.Failed(f"{method} {path}: {answer.status} {text[:200]}")
            return text.decode()
        finally:
            client.close()

    def reloads(self):
        """How often a new file has taken force."""
        config = json.loads(self.ask("/v1/config"))
        if config["problem"]:
            raise measure.Failed(config["problem"])
        return config["reloads_succeeded"]

    def tell(self, sign):
        os.kill(self.pids[-1], sign)

    def successor(self):
        """The process that takes this one's place, once it is there."""
        until = time.monotonic() + 20
        while time.monotonic() < until:
            young = [pid for pid in measure.tree(self.pids[-1])[1:]
                     if is_ours(pid, self.options.serin)]
            if young:
                self.pids.append(young[0])
                return young[0]
            time.sleep(0.005)
        raise measure.Failed("no new process was started")

    def is_there(self, pid):
        """Whether a process runs: a zombie does not."""
        try:
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    def pss(self):
        """KiB of memory that belong to the process."""
        text = Path(f"/proc/{self.pids[-1]}/smaps_rollup").read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))

    def rss(self):
        """KiB of memory that the process has in its hands."""
        text = Path(f"/proc/{self.pids[-1]}/status").read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if "VmRSS" in line)

    def files(self):
        """Open files of the process."""
        return len(os.listdir(f"/proc/{self.pids[-1]}/fd"))

    def settled(self, wanted, limit=15):
        """Waits until no more files are open than that; how many there are."""
        until = time.monotonic() + limit
        while self.files() > wanted and time.monotonic() < until:
            time.sleep(0.1)
        return self.files()


def is_ours(pid, program):
    """Whether this process still runs the program under trial."""
    try:
        return os.path.samefile(f"/proc/{pid}/exe", program)
    except OSError:
        return False


def make_pair(path):
    """A certificate and its key, as most sites have them."""
    measure.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=shop.example",
                 "-addext", "subjectAltName=DNS:shop.example", "-keyout", f"{path}.key",
                 "-out", f"{path}.cert"], stderr=subprocess.DEVNULL)
    Path(f"{path}.key").chmod(0o600)
