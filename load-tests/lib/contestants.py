"""Who takes part, and what is missing for it."""

import shutil

import guests
import peers
import serin

KNOWN = {it.name: it for it in (
    peers.Haproxy, peers.HaproxyReload, peers.Nginx, guests.Envoy, guests.Traefik, guests.Pingora,
    serin.Serin, serin.SerinLog, serin.SerinLogFull, serin.SerinSpans, serin.SerinSpansFull,
    serin.SerinBare)}


def missing(names):
    """What this run needs and is not here, each with the command that installs it."""
    needed = {"wrk": "wrk", "h2load": "nghttp2-client", "nginx": "nginx", "openssl": "openssl"}
    found = {tool: f"sudo apt-get install {package}" for tool, package in needed.items()
             if shutil.which(tool) is None}
    for name in names:
        command = KNOWN[name].missing()
        if command:
            found[name] = command
    return found


def made(options, folder, backends):
    """The contestants of this run, in the order that was asked for."""
    found = [KNOWN[name](options, folder / name, backends) for name in options.proxies]
    for extra in options.add:
        name, _, command = extra.partition("=")
        found.append(peers.Other(name, command, options, folder / name, backends))
    options.first = next((it for it in found if it.name == "haproxy"), found[0])
    return found
