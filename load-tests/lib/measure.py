"""Processes, their CPU time and memory, and single requests."""

import http.client
import os
import resource
import signal
import socket
import ssl
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")
USABLE = sorted(os.sched_getaffinity(0))
STARTED = []


class Failed(Exception):
    """A measurement that cannot be made, in words."""


def cores(workers=1):
    """The proxy's cores, and those of load and backends; shared where there are too few."""
    if len(USABLE) >= 2 * workers:
        return set(USABLE[:workers]), set(USABLE[workers:2 * workers])
    return set(USABLE), set(USABLE)


def start(command, core, log):
    """Starts a process in a group of its own, on the given cores."""
    def prepare():
        os.setpgid(0, 0)
        os.sched_setaffinity(0, core)

    with open(log, "ab") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                   preexec_fn=prepare)
    STARTED.append(process)
    return process


def end(process):
    """Asks a process we started to end, and its group with it if it does not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=5)
    if process in STARTED:
        STARTED.remove(process)


def end_all():
    """Ends everything that is still there."""
    for process in list(STARTED):
        end(process)


def run(command, **more):
    """Runs a command to its end; its output."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, **more)
    if done.returncode != 0:
        raise Failed(f"`{' '.join(map(str, command))}` ended with {done.returncode}")
    return done.stdout


def raise_file_limit():
    """As far as this user may; all that is started here inherits it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, 65536), max(hard, 65536)))
    except (OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def file_limit():
    """Open files that a process may have, no more than anybody here needs."""
    return min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 65536)


def free_port(but=None):
    """A port that is free on every address, and not this one, which somebody is about to take."""
    while True:
        with socket.socket() as probe:
            probe.bind(("0.0.0.0", 0))
            port = probe.getsockname()[1]
        if port != but:
            return port


def tree(pid):
    """A process and all below it."""
    found, open_ = [], [pid]
    while open_:
        parent = open_.pop()
        found.append(parent)
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{task}/children") as children:
                    open_.extend(int(child) for child in children.read().split())
        except OSError:
            continue
    return found


def cpu_seconds(pid):
    """utime + stime of a process tree, with those of its processes that have ended."""
    total = 0
    for member in tree(pid):
        try:
            with open(f"/proc/{member}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total / TICK


def pss_kib(pid):
    """Proportional set size of a process tree."""
    total = 0
    for member in tree(pid):
        with open(f"/proc/{member}/smaps_rollup") as rollup:
            total += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    return total


def get(port, path="/small", fields=None, timeout=2.0, tls=False):
    """One request on a connection of its own: status and fields of the answer."""
    if tls:
        anybody = ssl._create_unverified_context()
        client = http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout, context=anybody)
    else:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        client.request("GET", path, headers={"Host": "shop.example", **(fields or {})})
        answer = client.getresponse()
        answer.read()
        return answer.status, answer.headers
    finally:
        client.close()


def wait_ready(port, process, log, tls=False):
    """Until the proxy answers 200, ten seconds at most."""
    until = time.monotonic() + 10
    seen = "nothing"
    while time.monotonic() < until and process.poll() is None:
        try:
            seen, _ = get(port, tls=tls)
            if seen == 200:
                return
        except (OSError, http.client.HTTPException) as error:
            seen = error
        time.sleep(0.02)
    with open(log, errors="replace") as text:
        tail = text.read()[-600:]
    raise Failed(f"no answer on port {port} ({seen}); its log ends with:\n{tail}")

