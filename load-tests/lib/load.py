"""The load generators: wrk and h2load for closed loops, open-loop for a fixed rate."""

import json
import os
import re
import subprocess
from pathlib import Path

import measure

ROOT = Path(__file__).resolve().parent.parent
# Beside Serin's own build: these programs are no part of it.
TARGET = ROOT.parent / "target" / "load-tests"

DONE = """
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"errors":%d,"p50_us":%.0f,"p99_us":%.0f,"p999_us":%.0f}\\n',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
"""


def lua(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def script(scenario, cookies):
    """The wrk script of a scenario; with cookies, one request for each, in turn."""
    lines = [f"wrk.method = {lua(scenario.method)}"]
    lines += [f"wrk.headers[{lua(name)}] = {lua(value)}" for name, value in scenario.fields.items()]
    if scenario.body:
        lines.append(f"wrk.body = string.rep('p', {scenario.body})")
    if cookies:
        base = scenario.fields["Cookie"]
        values = ", ".join(lua(f"{base}; {cookie}") for cookie in cookies)
        lines.append(f"""
local cookies, requests, at = {{ {values} }}, {{}}, 0
function init(args)
  for i, cookie in ipairs(cookies) do
    wrk.headers["Cookie"] = cookie
    requests[i] = wrk.format()
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end""")
    return "\n".join(lines) + DONE


class Wrk:
    """wrk, under way."""

    def __init__(self, text, scenario, port, connections, seconds):
        _, cores = measure.cores(scenario.workers)
        self.limit = seconds + 20
        command = ["wrk", f"-t{scenario.workers}", f"-c{connections}",
                   f"-d{max(1, round(seconds))}s", "-s", str(text),
                   f"{scenario.scheme}://127.0.0.1:{port}{scenario.path}"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True,
                                        preexec_fn=lambda: os.sched_setaffinity(0, cores))

    def is_running(self):
        return self.process.poll() is None

    def result(self):
        """What its script prints in the end."""
        try:
            output, _ = self.process.communicate(timeout=self.limit)
        except subprocess.TimeoutExpired as late:
            self.process.kill()
            self.process.wait()
            raise measure.Failed("wrk did not end in time") from late
        line = next((it for it in output.splitlines() if it.startswith("{")), None)
        if line is None:
            raise measure.Failed(f"wrk said: {output[-400:]}")
        return json.loads(line)


class H2load(Wrk):
    """h2load, under way: HTTP/2, several streams of each connection at a time."""

    def __init__(self, _, scenario, port, connections, seconds):
        _, cores = measure.cores(scenario.workers)
        self.seconds = max(1, round(seconds))
        self.limit = seconds + 20
        fields = [word for name, value in scenario.fields.items() if name != "Host"
                  for word in ("-H", f"{name}: {value}")]
        command = ["h2load", f"-t{scenario.workers}", f"-c{connections}", f"-m{scenario.streams}",
                   f"-D{self.seconds}", *fields, "-H", ":authority: shop.example",
                   f"{scenario.scheme}://127.0.0.1:{port}{scenario.path}"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True,
                                        preexec_fn=lambda: os.sched_setaffinity(0, cores))

    def result(self):
        """What it prints in the end. It tells means only, so that there are no percentiles."""
        try:
            output, _ = self.process.communicate(timeout=self.limit)
        except subprocess.TimeoutExpired as late:
            self.process.kill()
            self.process.wait()
            raise measure.Failed("h2load did not end in time") from late
        counts = re.search(r"requests: .* (\d+) done, (\d+) succeeded, (\d+) failed", output)
        statuses = re.search(r"status codes: (\d+) 2xx", output)
        if counts is None or statuses is None:
            raise measure.Failed(f"h2load said: {output[-400:]}")
        done, answered = int(counts[1]), int(statuses[1])
        return {"requests": answered, "seconds": float(self.seconds), "errors": done - answered}


def build(name):
    """Builds a Rust program of this folder, if it is not yet; the folder it is in."""
    measure.run(["cargo", "build", "--release", "--locked", "--quiet",
                 "--manifest-path", str(ROOT / name / "Cargo.toml"),
                 "--target-dir", str(TARGET)])
    return TARGET / "release"


def open_loop(scenario, folder, port, rate, options):
    """Requests at a fixed rate; latencies from the moments at which they were to leave."""
    program = build("open-loop") / "open-loop"
    fields = "".join(f"{name}: {value}\r\n" for name, value in scenario.fields.items())
    request = folder / "request"
    request.write_bytes(f"{scenario.method} {scenario.path} HTTP/1.1\r\n{fields}\r\n".encode())
    _, cores = measure.cores(scenario.workers)
    command = [str(program), f"127.0.0.1:{port}", str(rate), str(options.seconds),
               str(options.connections), str(request)]
    return json.loads(measure.run(command, timeout=options.seconds + 30,
                                  preexec_fn=lambda: os.sched_setaffinity(0, cores)))
