"""The rows: each sets a proxy up, does one thing to it, and counts what users saw."""

import http.client
import statistics
import time

from board.origin import HOST

USERS = 500


class User:
    """A browser: it has an id, keeps the cookies it is given, and one connection."""

    def __init__(self, proxy, number):
        self.port, self.cookies = proxy.port, {"uid": f"u{number}"}
        self.client = None

    def ask(self):
        """The status, and the version that has answered (None: nobody has)."""
        for is_last in (False, True):
            try:
                if self.client is None:
                    self.client = http.client.HTTPConnection(HOST, self.port, timeout=10)
                cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
                self.client.request("GET", "/", headers={"Host": "shop.test", "Cookie": cookies})
                answer = self.client.getresponse()
                answer.read()
                break
            except (OSError, http.client.HTTPException):
                # A kept connection may have been closed in between; a new one may not.
                was_kept, self.client = self.client is not None and not is_last, None
                if not was_kept:
                    return 0, None
        for field in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = field.split(";")[0].partition("=")
            self.cookies[name] = value
        return answer.status, answer.headers.get("X-Version")

    def leave(self):
        if self.client is not None:
            self.client.close()
            self.client = None


def visit(users):
    """Each asks once, and closes its connection; what it got."""
    seen = []
    for user in users:
        seen.append(user.ask())
        user.leave()
    return seen


def users_of(proxy, count=USERS):
    return [User(proxy, number) for number in range(count)]


def settle(proxy, share):
    """Until a change of the share is what new users meet, twice in a row; five seconds at most."""
    until = time.monotonic() + 5
    number, met = 100_000, 0
    while time.monotonic() < until and met < 2:
        fresh = [User(proxy, number + at) for at in range(60)]
        number += 60
        found = sum(version == "canary" for _, version in visit(fresh)) / 60
        met = met + 1 if abs(found - share / 100) <= (0.2 if share else 0) else 0
        time.sleep(0.05)


def dead_canary(proxy):
    """Of 500 requests while the canary, at 20 %, is dead: how many failed for their user."""
    proxy.start(20)
    visit(users_of(proxy, 50))
    proxy.origins.kill_canary()
    seen = visit(users_of(proxy))
    return f"{sum(status != 200 for status, _ in seen)} of {USERS}"


def flaky_canary(proxy):
    """The canary, at 20 %, answers 500 to 30 %: errors that users saw, and what the proxy did."""
    proxy.start(20)
    visit(users_of(proxy, 200))
    proxy.origins.canary.failing = 0.3
    began, errors, asked, rolled_back = time.monotonic(), 0, 0, None
    users = users_of(proxy)
    while time.monotonic() - began < 5 and rolled_back is None:
        for user in users[asked % USERS:][:25]:
            errors += user.ask()[0] != 200
            user.leave()
            asked += 1
        if hasattr(proxy, "phase") and proxy.phase() == "rolled_back":
            rolled_back = time.monotonic() - began
    if rolled_back is None:
        return f"no verdict, {errors} errors in {asked}"
    return f"back in {rolled_back:.2f} s, {errors} errors in {asked}"


def left_after_rollback(proxy):
    """Users who had the canary, at 50 %, and still have it after it was taken to 0 %."""
    proxy.start(50)
    users = users_of(proxy)
    seen = visit(users)
    had = [user for user, (_, version) in zip(users, seen) if version == "canary"]
    proxy.move(0)
    settle(proxy, 0)
    still = sum(version == "canary" for _, version in visit(had))
    return f"{still} of {len(had)}"


def ramp(proxy):
    """From 10 % to 50 %: how many of stable's returning users follow, and who goes back."""
    proxy.start(10)
    users = users_of(proxy)
    before = [version for _, version in visit(users)]
    proxy.move(50)
    settle(proxy, 50)
    after = [version for _, version in visit(users)]
    stable = before.count("stable")
    follow = sum(pair == ("stable", "canary") for pair in zip(before, after))
    back = sum(pair == ("canary", "stable") for pair in zip(before, after))
    return f"{follow} of {stable} follow, {back} go back"


def change(proxy):
    """From a change of the share, 1 % to 100 % and back, to the first answer that shows it."""
    proxy.start(1)
    times = []
    for number in range(24):
        share = 100 if number % 2 else 1
        wanted = "canary" if number % 2 else "stable"
        began = time.monotonic()
        proxy.move(share)
        while True:
            user = User(proxy, 10_000 + number * 1_000 + len(times))
            user.cookies["uid"] = f"c{number}-{time.monotonic_ns()}"
            version = user.ask()[1]
            user.leave()
            if version == wanted:
                break
            if time.monotonic() - began > 10:
                return "not in 10 s"
        if number:
            times.append(1000 * (time.monotonic() - began))
        time.sleep(0.15)
    return f"{statistics.median(times):.1f} ms, at most {max(times):.0f}"


def kept(proxy):
    """Requests that the canary gets after it was taken to 0 % and the file was read again."""
    if proxy.moves_in_file:
        return "the file is the state"
    proxy.start(10)
    visit(users_of(proxy, 100))
    proxy.move(0)
    told = []
    for again in (proxy.reload, proxy.restart):
        again()
        time.sleep(0.3)
        fresh = [User(proxy, 200_000 + number) for number in range(300)]
        told.append(sum(version == "canary" for _, version in visit(fresh)))
    return f"reload {told[0]}, restart {told[1]} of 300"


def typo(proxy):
    """Of 300 requests after a save (and reload) that misspells the canary: how many failed."""
    proxy.start(10)
    visit(users_of(proxy, 50))
    proxy.write(10, typo="canray")
    proxy.reload()
    time.sleep(3)
    fresh = [User(proxy, 300_000 + number) for number in range(300)]
    return f"{sum(status != 200 for status, _ in visit(fresh))} of 300"


ROWS = {
    "dead": dead_canary,
    "flaky": flaky_canary,
    "left": left_after_rollback,
    "ramp": ramp,
    "change": change,
    "kept": kept,
    "typo": typo,
}
