"""Results as text for people and JSON for machines."""

import json
import statistics
import time
from pathlib import Path

import facts

REFERENCE = "haproxy"
BARE = "serin-bare"
MEDIANS = ("cpu_us", "kib", "rps", "p50_us", "p99_us", "p999_us", "added_p50_us", "added_p99_us",
           "added_p999_us", "core", "change_ms", "change_ms_max", "connections")
SUMS = ("errors", "changes", "changes_in_force")


def one_line(result):
    if "failed" in result:
        return f"FAILED: {result['failed']}"
    if "kib" in result:
        return f"{result['kib']:.2f} KiB a connection"
    tail = f"p99 {result['p99_us']:.0f} us, " if "p99_us" in result else ""
    line = (f"{result['cpu_us']:.2f} us, {result['rps']:.0f} req/s, {tail}"
            f"{result['errors']} errors, core {result['core']:.0%}")
    if "changes" in result:
        line += f", {result['changes_in_force']} of {result['changes']} changes"
    if "added_p50_us" in result:
        line += f", added p50 {result['added_p50_us']:.0f} p99 {result['added_p99_us']:.0f} us"
    return line


def cost(result):
    """The headline figure: CPU microseconds per request, or KiB per connection."""
    return result.get("cpu_us", result.get("kib"))


def by_round(results, scenario, proxy):
    return {it["round"]: it for it in results
            if it["scenario"] == scenario and it["proxy"] == proxy and "failed" not in it}


def ratio(mine, theirs, value):
    """The median of the rounds' own ratios."""
    ratios = [value(it) / value(theirs[number]) for number, it in mine.items()
              if number in theirs and value(theirs[number])]
    return statistics.median(ratios) if ratios else None


def summary(scenario, proxy, results):
    """Medians over rounds, and what they are in relation to."""
    mine = by_round(results, scenario.name, proxy)
    if not mine:
        return None
    rounds = mine.values()
    found = {"scenario": scenario.name, "proxy": proxy, "rounds": len(mine)}
    found |= {key: statistics.median(it[key] for it in rounds)
              for key in MEDIANS if all(key in it for it in rounds)}
    found |= {key: sum(it[key] for it in rounds)
              for key in SUMS if all(key in it for it in rounds)}
    costs = [cost(it) for it in rounds]
    found |= {"cost_min": min(costs), "cost_max": max(costs),
              "ratio": ratio(mine, by_round(results, scenario.name, REFERENCE), cost),
              "ratio_to_bare": None}
    if proxy.startswith("serin"):
        found["ratio_to_bare"] = ratio(mine, by_round(results, scenario.name, BARE), cost)
    if scenario.against:
        base = by_round(results, scenario.against, proxy)
        found |= {"against": scenario.against, "ratio_to_own": ratio(mine, base, cost),
                  "p99_ratio_to_own": ratio(mine, base, lambda it: it["p99_us"])}
    return found


def document(options, wanted, proxies, results):
    summaries = [summary(scenario, proxy.name, results)
                 for scenario in wanted for proxy in proxies]
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "command": facts.command(),
        "commit": facts.commit(),
        "machine": facts.machine(),
        "versions": {proxy.name: proxy.version() for proxy in proxies},
        "tools": facts.tools(),
        "shares": {proxy.name: proxy.share for proxy in proxies},
        "settings": {"rounds": options.rounds, "seconds": options.seconds,
                     "connections": options.connections, "idle": options.idle,
                     "rate": options.rate},
        "scenarios": {scenario.name: scenario.what for scenario in wanted},
        "summary": [it for it in summaries if it],
        "setups": facts.setups(proxies, options.scenarios),
        "results": results,
    }


def relations(it):
    """What a line says of other lines."""
    said = [f"ratio {it['ratio']:.2f}"] if it["ratio"] is not None else []
    if it["ratio_to_bare"] is not None:
        said.append(f"x bare {it['ratio_to_bare']:.2f}")
    if it.get("ratio_to_own") is not None:
        said.append(f"x own {it['against']} {it['ratio_to_own']:.2f}"
                    f" (p99 {it['p99_ratio_to_own']:.2f})")
    return "  ".join(said)


def row(it):
    value = it.get("cpu_us", it.get("kib"))
    line = (f"  {it['proxy']:<14} {value:8.2f} [{it['cost_min']:.2f}-{it['cost_max']:.2f}]"
            f"  {relations(it)}")
    if "rps" in it:
        line += f"  {it['rps']:.0f} req/s"
    if "p99_us" in it:
        line += (f"  p50 {it['p50_us']:.0f}  p99 {it['p99_us']:.0f}"
                 f"  p99.9 {it['p999_us']:.0f} us")
    if "added_p50_us" in it:
        line += (f"  added p50 {it['added_p50_us']:.0f}  p99 {it['added_p99_us']:.0f}"
                 f"  p99.9 {it['added_p999_us']:.0f} us")
    if "changes" in it:
        line += f"  {it['changes_in_force']} of {it['changes']} changes in force"
    if "change_ms" in it:
        line += f", each after {it['change_ms']:.0f} ms (most {it['change_ms_max']:.0f})"
    return line + (f"  {it['errors']} ERRORS" if it["errors"] else "")


def text(document):
    """The table for people."""
    machine = document["machine"]
    lines = [f"{machine['cpu']}, {machine['cores']} cores, kernel {machine['kernel']}, "
             f"{document['date']}"]
    lines += [f"  {name}: {version}, {document['shares'][name]:.1%} to the canary"
              for name, version in document["versions"].items()]
    lines.append("CPU us per request (KiB per connection in s9): median over rounds [min-max]; "
                 "ratio to HAProxy: median of the rounds' ratios")
    for name, what in document["scenarios"].items():
        lines.append(f"\n{name}  {what}")
        lines += [row(it) for it in document["summary"] if it["scenario"] == name]
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
