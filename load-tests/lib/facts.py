"""What a result must say so that anyone can judge it: machine, versions, commands, setups."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import measure

SETUP_LIMIT = 8000  # characters of a configuration; one with 5,000 endpoints is cut


def machine():
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").open()
                  if line.startswith("model name")), platform.processor())
    memory = next(int(line.split()[1]) for line in Path("/proc/meminfo").open()
                  if line.startswith("MemTotal"))
    return {"cpu": model, "cores": len(measure.USABLE), "memory_mib": memory // 1024,
            "kernel": platform.release(), "load_at_end": os.getloadavg()}


def first_line(*command):
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, cwd=Path(__file__).parent)
    return done.stdout.strip().split("\n")[0] or None


def commit():
    """The commit of this folder; a binary from elsewhere may be of another."""
    commit_ = first_line("git", "rev-parse", "--short", "HEAD")
    is_changed = first_line("git", "status", "--porcelain", "--untracked-files=no")
    return f"{commit_} and changes" if commit_ and is_changed else commit_


def tools():
    return {"wrk": first_line("wrk", "-v"), "backends": first_line("nginx", "-v"),
            "rustc": first_line("rustc", "--version"), "python": platform.python_version()}


def command():
    """How this run was started; paths of this machine are told by their last part."""
    words = [Path(word).name if word.startswith("/") else word for word in sys.argv[1:]]
    return " ".join(["load-tests/compare", *words])


def setups(proxies, scenarios):
    """Command line and configuration of each proxy, and the scenarios they were used in."""
    return {proxy.name: grouped({it.name: proxy.setups[it.name] for it in scenarios
                                 if it.name in proxy.setups}) for proxy in proxies}


def grouped(by_scenario):
    groups = []
    for name, setup in by_scenario.items():
        text = setup["config"]
        if len(text) > SETUP_LIMIT:
            left = len(text) - SETUP_LIMIT
            setup = {**setup, "config": f"{text[:SETUP_LIMIT]}\n... {left} characters more"}
        same = next((it for it in groups if it["setup"] == setup), None)
        if same is None:
            groups.append({"scenarios": [name], "setup": setup})
        else:
            same["scenarios"].append(name)
    return [{"scenarios": it["scenarios"], "command": it["setup"]["command"],
             "config": it["setup"]["config"].split("\n")} for it in groups]
