"""Results as text for people and JSON for machines."""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

REFERENCE = "haproxy"


def one_line(result):
    if "failed" in result:
        return f"FAILED: {result['failed']}"
    if "kib" in result:
        return f"{result['kib']:.2f} KiB a connection"
    return (f"{result['cpu_us']:.2f} us, {result['rps']:.0f} req/s, p99 {result['p99_us']:.0f} us, "
            f"{result['errors']} errors, core {result['core']:.0%}")


def cost(result):
    """The headline figure: CPU microseconds per request, or KiB per connection."""
    return result.get("cpu_us", result.get("kib"))


def summary(scenario, proxy, results):
    """Medians over rounds; the ratio is the median of the rounds' own ratios."""
    mine = {it["round"]: it for it in results
            if it["scenario"] == scenario and it["proxy"] == proxy and "failed" not in it}
    if not mine:
        return None
    reference = {it["round"]: it for it in results
                 if it["scenario"] == scenario and it["proxy"] == REFERENCE and "failed" not in it}
    ratios = [cost(it) / cost(reference[number]) for number, it in mine.items()
              if number in reference and cost(reference[number])]
    keys = [key for key in ("cpu_us", "kib", "rps", "p50_us", "p99_us")
            if all(key in it for it in mine.values())]
    medians = {key: statistics.median(it[key] for it in mine.values()) for key in keys}
    costs = [cost(it) for it in mine.values()]
    return {"scenario": scenario, "proxy": proxy, "rounds": len(mine), **medians,
            "cost_min": min(costs), "cost_max": max(costs),
            "ratio": statistics.median(ratios) if ratios else None,
            "errors": sum(it["errors"] for it in mine.values())}


def machine():
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").open()
                  if line.startswith("model name")), platform.processor())
    memory = next(int(line.split()[1]) for line in Path("/proc/meminfo").open()
                  if line.startswith("MemTotal"))
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "memory_mib": memory // 1024,
            "kernel": platform.release(), "load_at_end": os.getloadavg()}


def commit():
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True,
                          check=False, cwd=Path(__file__).parent)
    return done.stdout.strip() or None


def document(options, wanted, proxies, results):
    summaries = [summary(scenario.name, proxy.name, results)
                 for scenario in wanted for proxy in proxies]
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "command": " ".join(["load-tests/compare", *sys.argv[1:]]),
        "commit": commit(),
        "machine": machine(),
        "versions": {proxy.name: proxy.version() for proxy in proxies},
        "shares": {proxy.name: proxy.share for proxy in proxies},
        "settings": {"rounds": options.rounds, "seconds": options.seconds,
                     "connections": options.connections, "idle": options.idle},
        "scenarios": {scenario.name: scenario.what for scenario in wanted},
        "summary": [it for it in summaries if it],
        "results": results,
    }


def text(document):
    """The table for people."""
    facts = document["machine"]
    lines = [f"{facts['cpu']}, {facts['cores']} cores, kernel {facts['kernel']}, "
             f"{document['date']}"]
    lines += [f"  {name}: {version}, {document['shares'][name]:.1%} to the canary"
              for name, version in document["versions"].items()]
    lines.append("CPU us per request (KiB per connection in s9): median over rounds [min-max]; "
                 "ratio to HAProxy: median of the rounds' ratios")
    for name, what in document["scenarios"].items():
        lines.append(f"\n{name}  {what}")
        for it in (it for it in document["summary"] if it["scenario"] == name):
            value = it.get("cpu_us", it.get("kib"))
            ratio = f"{it['ratio']:.2f}" if it["ratio"] is not None else "-"
            line = (f"  {it['proxy']:<12} {value:8.2f} [{it['cost_min']:.2f}-{it['cost_max']:.2f}]"
                    f"  ratio {ratio}")
            if "rps" in it:
                line += (f"  {it['rps']:8.0f} req/s  p50 {it['p50_us']:.0f} us"
                         f"  p99 {it['p99_us']:.0f} us")
            lines.append(line + (f"  {it['errors']} ERRORS" if it["errors"] else ""))
    failed = [it for it in document["results"] if "failed" in it]
    lines += [f"\nnot measured: {it['scenario']} {it['proxy']} round {it['round']}: {it['failed']}"
              for it in failed]
    return "\n".join(lines)


def write(document, target):
    """Text on stdout; JSON where it was asked for."""
    if target == "-":
        print(json.dumps(document, indent=1))
        return
    print(text(document))
    if target:
        Path(target).write_text(json.dumps(document, indent=1) + "\n")
