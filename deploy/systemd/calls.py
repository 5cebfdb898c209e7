"""Whether a unit lets a program make the calls of the kernel that it makes.

`calls.py UNIT RECORD...` reads SystemCallFilter= of the unit and what `strace -f -o RECORD` wrote,
names the calls that the filter refuses, and ends with 1 if there are any. The sets (@system-service)
are those of the systemd that is installed here.
"""

import re
import subprocess
import sys


def members(name):
    """The calls that one word of a filter stands for."""
    if not name.startswith("@"):
        return {name}
    listed = subprocess.run(
        ["systemd-analyze", "syscall-filter", name],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    lines = (line.strip() for line in listed.splitlines()[1:])
    names = [line for line in lines if line and not line.startswith("#")]
    return set().union(*(members(name) for name in names))


def allowed(unit):
    """What is left after all lines of the filter: the first names what is allowed."""
    calls = set()
    for words in re.findall(r"^SystemCallFilter=(.*)$", unit, re.MULTILINE):
        named = set().union(*(members(word) for word in words.lstrip("~").split()))
        calls = calls - named if words.startswith("~") else calls | named
    return calls


def main(unit, *records):
    with open(unit, encoding="utf-8") as file:
        calls = allowed(file.read())
    made = set()
    for record in records:
        with open(record, encoding="utf-8", errors="replace") as file:
            made |= set(re.findall(r"^\d+ +(\w+)\(", file.read(), re.MULTILINE))
    refused = sorted(made - calls)
    print(f"{len(made)} kinds of calls, refused: {' '.join(refused) or 'none'}")
    return 1 if refused or len(made) < 20 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
