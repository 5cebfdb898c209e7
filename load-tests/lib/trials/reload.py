"""Ten saves a second, every other one with another certificate, under a load of HTTP/1.1, of TLS
and of HTTP/2: nobody notices."""

import asyncio
import hashlib
import ssl
import time

import load
import measure
import steady
from scenarios import Scenario
from subject import CERTIFICATES, HOST, Subject
from trials import at_least, at_most, none_of, told

A_SECOND = 10
PLAIN = Scenario("plain", "")
TLS = Scenario("tls", "", tls=True)
H2 = Scenario("h2", "", tls=True, streams=4)


def run(options, folder, backends):
    return asyncio.run(reloaded(options, folder, backends))


async def reloaded(options, folder, backends):
    with Subject(options, folder, backends) as subject:
        text = folder / "load.lua"
        text.write_text(load.script(PLAIN, []))
        before = subject.reloads()
        short = max(2, options.seconds / 4)
        quiet, _ = await paced(subject, short, saves=False)
        busy, saves = await paced(subject, short, saves=True)
        full, more = await asyncio.to_thread(full_load, subject, text, options.seconds)
        done, saves = subject.reloads() - before, saves + more
        shown, written = fingerprint(subject.tls), certificate(subject)
    counts = [none_of(f"failed or reset, {name}", it["errors"], f" of {it['requests']:,}")
              for name, it in full.items()]
    lost = busy.failed + busy.resets
    return [*counts,
            none_of("failed or reset, at a person's pace", lost, f" of {busy.answered:,}"),
            at_least("saves in force", round(0.9 * A_SECOND * options.seconds), done),
            none_of("of the saves were not", saves - done),
            at_most("p99 more than without", 2, p99(busy) - p99(quiet), " ms"),
            told("p99 without", f"{p99(quiet):.1f} ms"),
            none_of("shown certificate is not the last", int(shown != written))]


def p99(clients):
    """Milliseconds."""
    times = sorted(clients.times)
    return 1000 * times[len(times) * 99 // 100]


async def paced(subject, seconds, saves):
    """A load that leaves room, for latencies; how many saves were made meanwhile."""
    clients = steady.Load(2, subject.plain, subject.tls)
    made = await asyncio.to_thread(save, subject, seconds) if saves else 0
    if not saves:
        await asyncio.sleep(seconds)
    await clients.end()
    return clients, made


def full_load(subject, text, seconds):
    """As much as the machine bears, of all three kinds at once."""
    loads = {"plain": load.Wrk(text, PLAIN, subject.plain, 16, seconds),
             "tls": load.Wrk(text, TLS, subject.tls, 16, seconds),
             "h2": load.H2load(text, H2, subject.tls, 8, seconds)}
    made = save(subject, seconds - 0.5)
    seen = {name: it.result() for name, it in loads.items()}
    for name, it in seen.items():
        if not it["requests"]:
            raise measure.Failed(f"the load of {name} saw no answer")
    return seen, made


def save(subject, seconds):
    """Saves in a steady beat, and waits until the last one is in force; how many there were."""
    made, beat, until = 0, time.monotonic() + 0.2, time.monotonic() + seconds
    while beat < until:
        time.sleep(max(0.0, beat - time.monotonic()))
        made += 1
        beat += 1 / A_SECOND
        if made % 2:
            subject.pair = (subject.pair + 1) % CERTIFICATES
        share = 10 + made % 2
        subject.splits = subject.splits.replace("10%", f"{share}%").replace("11%", f"{share}%")
        subject.write()
    time.sleep(0.5)
    return made


def fingerprint(port):
    """Of the certificate that a client is shown now."""
    shown = ssl.get_server_certificate((HOST, port), timeout=5)
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(shown)).hexdigest()


def certificate(subject):
    """The same of the certificate that the file names."""
    text = (subject.folder / f"pair-{subject.pair}.cert").read_text()
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(text)).hexdigest()
