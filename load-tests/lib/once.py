"""One measurement of each kind, on a proxy that was started for it."""

import http.client
import socket
import time

import load
import measure
from scenarios import BY_NAME, PLAIN


def check_split(proxy):
    """Starts a proxy once and looks at what it does: nobody is measured doing something else."""
    proxy.start(PLAIN)
    try:
        seen = [measure.get(proxy.port, "/who")[1] for _ in range(300)]
    finally:
        proxy.stop()
    proxy.share = sum(fields.get("X-Version") == "canary" for fields in seen) / len(seen)
    if proxy.split and not 0.04 <= proxy.share <= 0.18:
        raise measure.Failed(f"{proxy.name} sends {proxy.share:.1%} to the canary, not 10 %")
    # Which address is theirs to say: for a client on loopback, Envoy names the machine's own.
    if not all(fields.get("X-Client") for fields in seen):
        raise measure.Failed(f"{proxy.name} does not add X-Forwarded-For")


def measure_once(scenario, proxy, options):
    """One measurement; it never leaves the proxy running."""
    shares_cores = scenario.workers > 1
    _, cores = measure.cores(scenario.workers)
    proxy.start(scenario)
    try:
        if shares_cores:
            proxy.backends.pin(cores)
        if scenario.kind == "memory":
            return idle_memory(proxy, options.idle)
        status, _ = measure.get(proxy.port, scenario.path, tls=scenario.tls)
        if status != 200:
            raise measure.Failed(f"{scenario.path} is answered with {status}")
        if scenario.kind == "open":
            return open_loop(scenario, proxy, options)
        with Idle(proxy, scenario.idle):
            return closed_loop(scenario, proxy, options)
    except (OSError, http.client.HTTPException) as error:
        raise measure.Failed(f"{type(error).__name__}: {error}") from error
    finally:
        proxy.stop()
        if shares_cores:
            proxy.backends.pin(measure.cores()[1])


def closed_loop(scenario, proxy, options):
    cookies = user_cookies(proxy) if scenario.sticky else []
    text = proxy.folder / "load.lua"
    text.write_text(load.script(scenario, cookies))
    connections = scenario.connections or options.connections
    generator = load.H2load if scenario.streams else load.Wrk
    generator(text, scenario, proxy.port, connections, 1).result()
    before = measure.cpu_seconds(proxy.process.pid)
    wrk = generator(text, scenario, proxy.port, connections, options.seconds)
    changes = {}
    try:
        if scenario.changes:
            changes = change_under_load(scenario, proxy, wrk)
    finally:
        seen = wrk.result()
    used = measure.cpu_seconds(proxy.process.pid) - before
    if seen["requests"] == 0:
        raise measure.Failed("no request was answered")
    percentiles = {key: value for key, value in seen.items() if key.endswith("_us")}
    return {"cpu_us": used * 1e6 / seen["requests"], "rps": seen["requests"] / seen["seconds"],
            **percentiles, "errors": seen["errors"], "requests": seen["requests"],
            "core": used / seen["seconds"], **changes, **proxy.inspect(scenario)}


def change_under_load(scenario, proxy, wrk):
    """Changes the configuration in a steady beat until the load ends."""
    before = proxy.changes_in_force()
    times, made, beat = [], 0, time.monotonic()
    is_timed = scenario.endpoints > 1
    while wrk.is_running():
        made += 1
        if is_timed:
            times.append(proxy.time_of_change(scenario, made))
        else:
            proxy.change(scenario, made)
        beat += scenario.changes
        time.sleep(max(0.0, beat - time.monotonic()))
    time.sleep(0.3)  # the last one takes force
    after = proxy.changes_in_force()
    told = {"changes": made, "changes_in_force": after - (before or 0)}
    if times:
        told["change_ms"] = 1000 * sorted(times)[len(times) // 2]
        told["change_ms_max"] = 1000 * max(times)
    return told


def open_loop(scenario, proxy, options):
    """Latency at a fixed rate through the proxy, and right after it without the proxy."""
    if options.rate is None:
        options.rate = half_of_what_saturates(proxy, options)
        proxy.start(scenario)
    before = measure.cpu_seconds(proxy.process.pid)
    seen = load.open_loop(scenario, proxy.folder, proxy.port, options.rate, options)
    used = measure.cpu_seconds(proxy.process.pid) - before
    direct = load.open_loop(scenario, proxy.folder, proxy.backends.stable, options.rate, options)
    if direct["failed"] or not direct["counted"]:
        raise measure.Failed(f"without a proxy, {options.rate:.0f} requests/s are too many here")
    if not seen["counted"]:
        raise measure.Failed("no request was answered")
    added = {f"added_{key}": seen[key] - direct[key] for key in ("p50_us", "p99_us", "p999_us")}
    return {"cpu_us": used * 1e6 / seen["requests"], "rps": options.rate,
            "p50_us": seen["p50_us"], "p99_us": seen["p99_us"], "p999_us": seen["p999_us"], **added,
            "direct": direct, "errors": seen["failed"], "requests": seen["requests"],
            "core": used / (options.seconds + 1)}


def half_of_what_saturates(proxy, options):
    """Half of what the first contestant (HAProxy, if it is there) answers in s2."""
    proxy.stop()
    scenario, first = BY_NAME["s2"], options.first
    first.start(scenario)
    try:
        text = first.folder / "load.lua"
        text.write_text(load.script(scenario, []))
        seen = load.Wrk(text, scenario, first.port, options.connections, 2).result()
    finally:
        first.stop()
    return round(seen["requests"] / seen["seconds"] / 2, -2)


def user_cookies(proxy, users=64):
    """What the proxy makes clients remember: one cookie a user."""
    found = []
    for _ in range(users):
        _, fields = measure.get(proxy.port, "/head", BY_NAME["s2"].fields)
        cookie = fields.get("Set-Cookie")
        if cookie is None:
            raise measure.Failed(f"{proxy.name} sets no cookie")
        found.append(cookie.split(";")[0])
    return found


class Idle:
    """Keep-alive connections that have had one request each and are at rest."""

    REQUEST = b"GET /small HTTP/1.1\r\nHost: shop.example\r\n\r\n"

    def __init__(self, proxy, wanted):
        self.port, self.clients = proxy.port, []
        # As many as this machine lets a proxy have beside its busy ones.
        self.wanted = min(wanted, measure.file_limit() - 3000)

    def __enter__(self):
        try:
            for number in range(self.wanted):
                # Spread over addresses: one address has only so many ports, and wrk needs some.
                source = (f"127.0.1.{1 + number // 4000}", 0)
                client = socket.create_connection(("127.0.0.1", self.port), 5, source)
                self.clients.append(client)
                client.sendall(self.REQUEST)
                answer = http.client.HTTPResponse(client)
                answer.begin()
                answer.read()
        except OSError as error:
            self.__exit__()
            count = len(self.clients)
            raise measure.Failed(f"after {count} connections: {error}") from error
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.close()


def idle_memory(proxy, wanted):
    """KiB (PSS) that one idle keep-alive connection costs after its first request."""
    for _ in range(50):
        measure.get(proxy.port)
    before = measure.pss_kib(proxy.process.pid)
    with Idle(proxy, wanted) as idle:
        time.sleep(0.5)
        after = measure.pss_kib(proxy.process.pid)
    return {"kib": (after - before) / idle.wanted, "connections": idle.wanted, "errors": 0}
