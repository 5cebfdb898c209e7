"""What the runners share: a Serin on ports of its own, an origin behind it, and the score."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
HOST = "127.0.0.1"

SPLIT = """upstreams:
  old:
    static: ["{host}:{origin}"]
    protocol: {protocol}
    timeouts: {{ connect: 1s, response_header: {patience}, body_idle: {patience} }}
{more}splits:
  all: {{ stable: old }}
"""
PLAIN = """listeners:
  - name: plain
    address: "{host}:{port}"
    timeouts: {{ request_header: 5s, idle: 30s, body_idle: 10s }}
"""
SECURE = """listeners:
  - name: secure
    address: "{host}:{port}"
    timeouts: {{ request_header: 5s, idle: 30s, body_idle: 10s }}
    tls: {{ certificates: [{{ cert: "{folder}/cert.pem", key: "{folder}/key.pem" }}] }}
"""


def stop(why):
    """Ends a runner that cannot run, and says what would help."""
    print(why, file=sys.stderr)
    sys.exit(2)


def need(program, hint):
    """The path of a program; a given path is taken as it is."""
    found = shutil.which(program)
    if not found:
        stop(f"{program} is missing: {hint}")
    return found


def serin_binary():
    """The newest binary that was built, or the one that `SERIN` names."""
    named = os.environ.get("SERIN")
    if named:
        return named
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    built = [target / kind / "serin" for kind in ("release", "debug")]
    built = sorted((it for it in built if it.exists()), key=lambda it: it.stat().st_mtime)
    if not built:
        stop("Serin is not built: cargo build --release, or name a binary in SERIN")
    return str(built[-1])


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def wait_for(port, process=None, seconds=10):
    """Waits until something listens."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process is not None and process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
            return
        time.sleep(0.02)
    stop(f"nothing listens on port {port}")


@contextlib.contextmanager
def program(command, port=None, log=None):
    """Runs a program until the end of the block; only this one is ended."""
    out = open(log, "wb") if log else subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        if port:
            wait_for(port, process)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        process.wait()


def certificate(folder):
    """A key and a certificate for localhost, signed by itself."""
    openssl = need("openssl", "apt-get install openssl")
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
         "-subj", "/CN=localhost", "-addext", f"subjectAltName=DNS:localhost,IP:{HOST}",
         "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"],
        check=True, stderr=subprocess.DEVNULL)
    os.chmod(f"{folder}/key.pem", 0o600)


@contextlib.contextmanager
def serin(origin, listeners=PLAIN, protocol="h1", patience="10s",
          more=""):
    """A Serin in front of an origin, with keys `more` of it; gives its port and its folder."""
    with tempfile.TemporaryDirectory() as folder:
        port, admin = free_port(), free_port()
        if listeners is SECURE:
            certificate(folder)
        names = {"host": HOST, "port": port, "origin": origin, "folder": folder,
                 "protocol": protocol, "patience": patience, "more": more}
        text = (listeners + SPLIT).format(**names)
        text += f'admin: "{HOST}:{admin}"\nworkers: 2\n'
        file = Path(folder) / "serin.yaml"
        file.write_text(text)
        command = [serin_binary(), "run", "-c", str(file), "--state-dir", f"{folder}/state"]
        with program(command, port, f"{folder}/log"):
            yield port, folder


def finish(passed, failed, failures=()):
    """Prints the score and ends."""
    for line in failures:
        print(f"  {line}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)
