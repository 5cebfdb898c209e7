"""What is measured: the traffic of each scenario, and one measurement of it."""

import dataclasses
import http.client
import socket
import time

import measure

# Twelve fields as a browser sends them, about 600 bytes with the request line.
BROWSER = {
    "Host": "shop.example",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
                  "Chrome/131.0.0.0 Safari/537.36",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.9,de;q=0.8",
    "Accept-Encoding": "gzip, deflate, br",
    "Referer": "https://shop.example/catalogue/garden/tools?page=3",
    "Cookie": "uid=7f3a9c51e2b84d60; theme=dark; basket=3",
    "Cache-Control": "no-cache",
    "Upgrade-Insecure-Requests": "1",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "X-Device-Id": "d41d8cd98f00b204e9800998",
}


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One kind of traffic."""

    name: str
    what: str
    path: str = "/small"
    fields: dict = dataclasses.field(default_factory=lambda: {"Host": "shop.example"})
    method: str = "GET"
    body: int = 0
    sticky: bool = False
    big_buffers: bool = False
    idle: bool = False


ALL = [
    Scenario("s1", "small GET, keep-alive"),
    Scenario("s2", "12 request fields, 10 response fields", path="/head", fields=BROWSER),
    Scenario("s3", "64 KiB response", path="/large"),
    Scenario("s6", "a new connection for each request",
             fields={"Host": "shop.example", "Connection": "close"}),
    Scenario("s8", "POST 16 KiB (HAProxy with 64 KiB buffers)", path="/post", method="POST",
             body=16384, big_buffers=True),
    Scenario("s9", "memory of idle connections", idle=True),
    Scenario("s12", "s2 with sticky cookies of 64 users", path="/head", fields=BROWSER,
             sticky=True),
]
PLAIN = ALL[0]

DONE = """
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"errors":%d,"p50_us":%.0f,"p99_us":%.0f}\\n',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
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


def check_split(proxy):
    """Starts a proxy once and counts its split: nobody is measured doing something else."""
    proxy.start(PLAIN)
    try:
        seen = [measure.get(proxy.port)[1].get("X-Version") for _ in range(300)]
    finally:
        proxy.stop()
    proxy.share = seen.count("canary") / len(seen)
    if not 0.04 <= proxy.share <= 0.18 or None in seen:
        raise measure.Failed(f"{proxy.name} sends {proxy.share:.1%} to the canary, not 10 %")


def user_cookies(proxy, users=64):
    """What the proxy makes clients remember: one cookie a user."""
    found = []
    for _ in range(users):
        _, fields = measure.get(proxy.port, "/head", BROWSER)
        cookie = fields.get("Set-Cookie")
        if cookie is None:
            raise measure.Failed(f"{proxy.name} sets no cookie")
        found.append(cookie.split(";")[0])
    return found


def measure_once(scenario, proxy, options):
    """One measurement on a proxy that was started for it."""
    proxy.start(scenario)
    try:
        if scenario.idle:
            return idle_memory(proxy, options.idle)
        status, _ = measure.get(proxy.port, scenario.path)
        if status != 200:
            raise measure.Failed(f"{scenario.path} is answered with {status}")
        cookies = user_cookies(proxy) if scenario.sticky else []
        text = proxy.folder / "load.lua"
        text.write_text(script(scenario, cookies))
        measure.wrk(text, proxy.port, scenario.path, options.connections, 1)
        before = measure.cpu_seconds(proxy.process.pid)
        load = measure.wrk(text, proxy.port, scenario.path, options.connections, options.seconds)
        used = measure.cpu_seconds(proxy.process.pid) - before
    finally:
        proxy.stop()
    if load["requests"] == 0:
        raise measure.Failed("no request was answered")
    return {"cpu_us": used * 1e6 / load["requests"], "rps": load["requests"] / load["seconds"],
            "p50_us": load["p50_us"], "p99_us": load["p99_us"], "errors": load["errors"],
            "requests": load["requests"], "core": used / load["seconds"]}


def idle_memory(proxy, wanted):
    """KiB (PSS) that one idle keep-alive connection costs after its first request."""
    for _ in range(50):
        measure.get(proxy.port)
    before = measure.pss_kib(proxy.process.pid)
    request = b"GET /small HTTP/1.1\r\nHost: shop.example\r\n\r\n"
    clients = []
    try:
        for _ in range(wanted):
            client = socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
            clients.append(client)
            client.sendall(request)
            answer = http.client.HTTPResponse(client)
            answer.begin()
            answer.read()
        time.sleep(0.5)
        after = measure.pss_kib(proxy.process.pid)
    except OSError as error:
        raise measure.Failed(f"after {len(clients)} connections: {error}") from error
    finally:
        for client in clients:
            client.close()
    return {"kib": (after - before) / wanted, "connections": wanted, "errors": 0}
