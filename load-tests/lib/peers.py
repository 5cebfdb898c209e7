"""The contestants: a fair, tuned configuration for each, all for the same 90/10 split.

All: as many workers or threads as the scenario gives, keep-alive on both sides, X-Forwarded-For
added, no access log. Here are the two from Debian, and any other by its command line.
"""

import re
import shlex
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import measure
from backends import HOST, nginx_command, nginx_frame


class Peer:
    """A proxy: how it is configured, started and changed."""

    name = ""
    tool = None  # the program on the search path
    install = ""  # what brings it
    speaks_tls = False
    split = True  # whether it sends 10 % to the canary

    def __init__(self, options, folder, backends):
        self.options, self.folder, self.backends = options, folder, backends
        self.log = folder / "log"
        self.port = self.process = None
        self.setups = {}
        folder.mkdir(parents=True)

    @classmethod
    def missing(cls):
        """The command that installs it, if it is not here."""
        return cls.install if shutil.which(cls.tool) is None else None

    def refuses(self, scenario):
        """Why it does not take part in a scenario; None: it does."""
        if scenario.changes or scenario.splits > 1 or scenario.endpoints > 1:
            return "it is not made for this comparison"
        if scenario.tls and not self.speaks_tls:
            return "it is not set up for TLS here"
        return None

    def command(self, scenario):
        raise NotImplementedError

    def version(self):
        raise NotImplementedError

    def start(self, scenario):
        """Starts it anew for one measurement."""
        self.port = measure.free_port()
        cores, _ = measure.cores(scenario.workers)
        command = self.command(scenario)
        self.setups.setdefault(scenario.name, self.setup(command))
        self.process = measure.start(command, cores, self.log)
        measure.wait_ready(self.port, self.process, self.log, scenario.tls)

    def stop(self):
        if self.process is not None:
            measure.end(self.process)
            self.process = None

    def setup(self, command):
        """Its command line and configuration, without what differs between two starts."""
        words = [command[0].rsplit("/", 1)[-1], *command[1:]]
        files = [Path(word) for word in words if word.startswith(str(self.folder))]
        texts = [file.read_text() for file in files if file.suffix]
        return {"command": self.named(" ".join(words)), "config": self.named("\n".join(texts))}

    def named(self, text):
        """A text with names for the folder and the ports."""
        for name, port in self.ports().items():
            text = re.sub(rf"\b{port}\b", f"{{{name}}}", text)
        text = text.replace(str(self.backends.folder), "{backends}")
        return text.replace(str(self.folder), "{folder}")

    def ports(self):
        return {"port": self.port, "stable": self.backends.stable, "canary": self.backends.canary}

    def change(self, scenario, number):
        """Makes the n-th change while requests are running."""
        raise NotImplementedError

    def changes_in_force(self):
        """How many changes it has taken, as it says itself; None: it does not say."""
        return None

    def inspect(self, scenario):
        """Looks after the load whether it did what it was to do; what is worth to be told."""
        return {}


def share_of_change(number):
    """Per cent of the canary after the n-th change."""
    return 12 if number % 2 else 10


class Haproxy(Peer):
    name = tool = "haproxy"
    speaks_tls = True
    install = "sudo apt-get install haproxy"
    taken = 0

    def refuses(self, scenario):
        return super().refuses(scenario) if scenario.name != "s11" else None

    def command(self, scenario):
        self.taken = 0
        return ["haproxy", "-db", "-f", str(self.write(scenario, 10))]

    def write(self, scenario, canary):
        config = self.folder / "haproxy.cfg"
        limit = measure.file_limit()
        most = limit // 2 - 100
        if scenario.idle:
            # Idle connections have no server side: more fit into the limit than HAProxy reckons
            # with, and near it HAProxy would stop keeping those to servers.
            most = (f"{limit}\n    no strict-limits\n    tune.pool-low-fd-ratio 98\n"
                    "    tune.pool-high-fd-ratio 99")
        bufsize = "    tune.bufsize 65536\n" if scenario.big_buffers else ""
        cookie = "    cookie shop_ver insert indirect nocache\n" if scenario.sticky else ""
        tls = ""
        if scenario.tls:
            alpn = "h2,http/1.1" if scenario.streams else "http/1.1"
            tls = f" ssl crt {self.backends.both} alpn {alpn}"
        key = (lambda name: f" cookie {name}") if scenario.sticky else (lambda name: "")
        config.write_text(f"""
global
    nbthread {scenario.workers}
    maxconn {most}
    stats socket {self.folder}/socket level admin
{bufsize}
defaults
    mode http
    http-reuse always
    option forwardfor
    timeout connect 5s
    timeout client 300s
    timeout server 60s
    timeout http-keep-alive 300s
frontend edge
    bind {HOST}:{self.port} backlog 4096{tls}
    default_backend shop
backend shop
    balance roundrobin
{cookie}    server stable {HOST}:{self.backends.stable} weight {100 - canary}{key("stable")}
    server canary {HOST}:{self.backends.canary} weight {canary}{key("canary")}
""")
        return config

    def change(self, scenario, number):
        """By the runtime socket, as its users change weights."""
        canary = share_of_change(number)
        command = f"set weight shop/stable {100 - canary}; set weight shop/canary {canary};"
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(f"{self.folder}/socket")
            client.sendall(f"{command} get weight shop/canary\n".encode())
            answer = b"".join(iter(lambda: client.recv(4096), b"")).decode()
        self.taken += answer.strip().startswith(f"{canary} ")

    def changes_in_force(self):
        return self.taken

    def version(self):
        return measure.run(["haproxy", "-v"]).splitlines()[0]


class HaproxyReload(Haproxy):
    """The same where the runtime socket cannot help: each change is a reload, a new process."""

    name = "haproxy+reload"

    def refuses(self, scenario):
        return None if scenario.name in ("s2", "s11") else "it differs only in s11"

    def command(self, scenario):
        self.log.unlink(missing_ok=True)
        return ["haproxy", "-W", "-db", "-f", str(self.write(scenario, 10))]

    def change(self, scenario, number):
        self.write(scenario, share_of_change(number))
        self.process.send_signal(signal.SIGUSR2)

    def changes_in_force(self):
        return self.log.read_text(errors="replace").count("Loading success")


class Nginx(Peer):
    name = tool = "nginx"
    speaks_tls = True
    install = "sudo apt-get install nginx"

    def refuses(self, scenario):
        return super().refuses(scenario) if scenario.name != "s11" else None

    def command(self, scenario):
        return nginx_command(self.write(scenario, 10), self.folder)

    def write(self, scenario, canary):
        config = self.folder / "nginx.conf"
        log = "notice" if scenario.changes else "warn"
        inner = self.inner(scenario, canary)
        config.write_text(nginx_frame(self.folder, inner, scenario.workers, log))
        return config

    def inner(self, scenario, canary):
        kept = f"keepalive {scenario.pool};\n        keepalive_requests 1000000000;"
        ports = (("stable", self.backends.stable), ("canary", self.backends.canary))
        weights = {"stable": 100 - canary, "canary": canary}
        target, extra = "shop", ""
        if scenario.sticky:
            target = "$version"
            extra = "add_header Set-Cookie $remember;"
            upstreams = "".join(f"""
    upstream {name} {{
        server {HOST}:{port} max_fails=0;
        {kept}
    }}""" for name, port in ports) + """
    split_clients $request_id $fresh { 10% canary; * stable; }
    map $cookie_shop_ver $version { stable stable; canary canary; default $fresh; }
    map $cookie_shop_ver $remember { stable ""; canary ""; default "shop_ver=$fresh; Path=/"; }"""
        else:
            servers = "".join(f"\n        server {HOST}:{port} weight={weights[name]} max_fails=0;"
                              for name, port in ports)
            upstreams = f"\n    upstream shop {{{servers}\n        {kept}\n    }}"
        if scenario.tls:
            extra += f"""
            }}
            ssl_certificate {self.backends.certificate};
            ssl_certificate_key {self.backends.key};
            ssl_protocols TLSv1.2 TLSv1.3;
            location = /none {{"""
        return f"""{upstreams}
    server {{
        listen {HOST}:{self.port}{self.tls(scenario)} reuseport backlog=4096;
        location / {{
            proxy_pass http://{target};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_buffer_size 16k;
            proxy_buffers 16 16k;
            proxy_request_buffering off;
            {extra}
        }}
    }}"""

    def tls(self, scenario):
        if not scenario.tls:
            return ""
        return " ssl" + (" http2" if scenario.streams else "")

    def change(self, scenario, number):
        """By a new file and a reload; there is no other way in this nginx."""
        self.write(scenario, share_of_change(number))
        self.process.send_signal(signal.SIGHUP)

    def changes_in_force(self):
        return (self.folder / "error").read_text(errors="replace").count(", reconfiguring")

    def version(self):
        done = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=False)
        return done.stderr.strip()


class Other(Peer):
    """Any other proxy, by its command line."""

    def __init__(self, name, command, options, folder, backends):
        super().__init__(options, folder, backends)
        self.name, self.template = name, command

    def command(self, scenario):
        filled = re.sub(r"\{(port|stable|canary)\}", self.fill, self.template)
        return shlex.split(filled)

    def fill(self, found):
        return str({"port": self.port, "stable": self.backends.stable,
                    "canary": self.backends.canary}[found.group(1)])

    def version(self):
        return self.template
