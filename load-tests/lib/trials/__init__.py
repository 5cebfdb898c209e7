"""What Serin must endure, one trial a file: each is run on a fresh Serin and answers figures."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Figure:
    """One thing that was asked for, and what was seen."""

    name: str
    asked: str
    seen: str
    # None: told for information, nothing was asked.
    holds: bool | None


def none_of(name, seen, of=""):
    """A count that must be zero."""
    return Figure(name, "0", f"{seen}{of}", seen == 0)


def at_most(name, limit, seen, unit="", digits=1):
    """A number with an upper limit."""
    return Figure(name, f"<= {limit:g}{unit}", f"{seen:.{digits}f}{unit}", seen <= limit)


def at_least(name, limit, seen, unit=""):
    """A number with a lower limit, so that a trial that did nothing does not pass."""
    return Figure(name, f">= {limit:g}{unit}", f"{seen:g}{unit}", seen >= limit)


def told(name, seen):
    """For information."""
    return Figure(name, "", str(seen), None)
