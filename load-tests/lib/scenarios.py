"""What is measured: the traffic of each scenario, and what it is compared with."""

import dataclasses

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
    # Over TLS; over HTTP/2, with so many streams of a connection at a time.
    tls: bool = False
    streams: int | None = None
    big_buffers: bool = False
    # What is measured: closed loop (load), PSS (memory), open loop, closed loop under changes.
    kind: str = "load"
    workers: int = 1
    # Busy connections (None: as the run says), and idle ones beside them.
    connections: int | None = None
    idle: int = 0
    splits: int = 1
    endpoints: int = 1
    # Seconds between two changes of the configuration under load.
    changes: float | None = None
    # The scenario of the same proxy in the same round that it is compared with.
    against: str | None = None

    @property
    def scheme(self):
        return "https" if self.tls else "http"

    @property
    def pool(self):
        """Unused connections that a proxy may keep to an endpoint."""
        return max(512, self.connections or 0)


def real(name, what, **more):
    """s2 with one thing changed, compared with s2."""
    return Scenario(name, what, path="/head", fields=BROWSER, against="s2", **more)


ALL = [
    Scenario("s1", "small GET, keep-alive"),
    Scenario("s2", "12 request fields, 10 response fields", path="/head", fields=BROWSER),
    Scenario("s3", "64 KiB response", path="/large"),
    Scenario("s4", "s2 over TLS 1.3", path="/head", fields=BROWSER, tls=True),
    Scenario("s4-large", "64 KiB response over TLS 1.3", path="/large", tls=True),
    Scenario("s5", "s2 over HTTP/2 and TLS 1.3, 10 streams a connection", path="/head",
             fields=BROWSER, tls=True, streams=10),
    Scenario("s6", "a new connection for each request",
             fields={"Host": "shop.example", "Connection": "close"}),
    Scenario("s7", "a new connection and a full TLS handshake for each request", tls=True,
             fields={"Host": "shop.example", "Connection": "close"}),
    Scenario("s8", "POST 16 KiB (HAProxy with 64 KiB buffers)", path="/post", method="POST",
             body=16384, big_buffers=True),
    Scenario("s8-default", "POST 16 KiB (HAProxy with its default buffers)", path="/post",
             method="POST", body=16384),
    Scenario("s9", "memory of idle connections", kind="memory"),
    Scenario("s10", "s2 at a fixed rate, open loop, against the direct path", path="/head",
             fields=BROWSER, kind="open"),
    real("s11", "s2 while the split changes each 100 ms", kind="changes", changes=0.1),
    real("s12", "s2 with sticky cookies of 64 users", sticky=True),
    real("s2x2", "s2 on two cores that the load shares", workers=2),
]
SCALE = [
    real("s2-splits", "s2, the last of 1,000 splits", splits=1000),
    real("s2-endpoints", "s2 over 5,000 endpoints", endpoints=5000),
    real("s2-c10", "s2 with 10 connections", connections=10),
    real("s2-c1000", "s2 with 1,000 connections", connections=1000),
    real("s2-c20000", "s2 with 1,000 busy and 19,000 idle connections", connections=1000,
         idle=19000),
    dataclasses.replace(
        real("s2-plan", "s2 over 5,000 endpoints while the split changes each second",
             kind="changes", endpoints=5000, changes=1.0), against="s2-endpoints"),
]
BY_NAME = {it.name: it for it in ALL + SCALE}
GROUPS = {"main": [it.name for it in ALL], "scale": [it.name for it in SCALE]}
PLAIN = ALL[0]


def chosen(text):
    """Scenarios by name or group; with each, what it is compared with. KeyError: no such."""
    names = [name for word in text.split(",") for name in GROUPS.get(word, [word])]
    for name in names:
        against = BY_NAME[name].against
        if against and against not in names:
            names.append(against)
    return [it for it in ALL + SCALE if it.name in names]
