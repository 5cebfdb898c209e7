"""A million requests for random paths, hosts and users: /metrics has no series more, is as quick, and
the memory stays."""

import subprocess
import time

import load
import measure
from subject import HOST, Subject
from trials import at_least, at_most, none_of, told

COUNT = 1_000_000
ROUND = 10  # seconds
# Each of wrk's threads has a seed of its own.
RANDOM = """
local threads = 0
function setup(thread) threads = threads + 1; thread:set("seed", threads * 7919 + %d) end
function init(args) math.randomseed(seed) end
local methods = { "GET", "GET", "GET", "POST", "PUT", "DELETE", "PURGE" }
local function word() return string.format("%%x%%x", math.random(0, 2^31 - 1), math.random(0, 2^31 - 1)) end
function request()
  local trace = word() .. "0000000000000000000000000000000000000000"
  local headers = {
    ["Host"] = word() .. ".example", ["X-User"] = word(), ["User-Agent"] = word(),
    ["X-" .. word()] = word(), ["Content-Length"] = "0",
    ["Traceparent"] = "00-" .. trace:sub(1, 32) .. "-00f067aa0ba902b7-01",
  }
  local path = "/" .. word() .. "/" .. word() .. "?q=" .. word()
  return wrk.format(methods[math.random(#methods)], path, headers)
end
"""


def run(options, folder, backends):
    subject = Subject(options, folder, backends)
    subject.splits += "    sticky: { key: [header:x-user] }\n"
    with subject:
        asked(subject, folder, 0, ROUND)  # every answer, and its code, was there once
        before, _ = scraped(subject)
        memory = subject.rss() / 1024
        count, number = 0, 0
        while count < COUNT:
            number += 1
            count += asked(subject, folder, number, ROUND)
        after, slowest = scraped(subject)
        grown = subject.rss() / 1024 - memory
        took = subject.ask("/metrics").count("\n")
    return [at_least("random requests", COUNT, count),
            none_of("series that were added", len(after - before), f" to {len(before)}"),
            at_most("slowest of 20 scrapes", 20, slowest, " ms"),
            at_most("memory after them, less before", 8, grown, " MiB"),
            told("RSS before, and after", f"{memory:.1f} MiB, {memory + grown:.1f} MiB"),
            told("lines of a scrape", took)]


def asked(subject, folder, number, seconds):
    """How many requests were answered in a round of random ones."""
    script = folder / "random.lua"
    script.write_text(RANDOM % (number * 104729) + load.DONE)
    command = ["wrk", "-t1", "-c32", f"-d{seconds}s", "-s", str(script),
               f"http://{HOST}:{subject.plain}/"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
    for line in done.stdout.splitlines():
        if line.startswith('{"requests"'):
            return int(line.split(":")[1].split(",")[0])
    raise measure.Failed(f"wrk said: {(done.stdout + done.stderr)[-300:]}")


def scraped(subject):
    """Names and labels of all series, and the slowest of some scrapes in milliseconds."""
    time.sleep(1)  # the last samples come in
    slowest, text = 0, ""
    for _ in range(20):
        began = time.monotonic()
        text = subject.ask("/metrics")
        slowest = max(slowest, 1000 * (time.monotonic() - began))
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    # What the judge and its forecast bring comes when it comes.
    mine = [line.rsplit(" ", 1)[0] for line in lines if not line.startswith("serin_analysis_")]
    return set(mine), slowest
