"""What a crowd saw and what it cost, in lines to read."""

from collections import Counter
from dataclasses import dataclass, field
from statistics import mean

from tests.commands.benchmarks.load.watching import Cost

LIMITS = {  # seconds at the 95th percentile that a class of at most this size was promised
    100: {"picture": 2.0, "head": 0.2, "sentence": 2.0},
    300: {"picture": 10.0, "head": 0.5, "sentence": 5.0},
}
MOST_MEMORY = 2_000_000_000  # bytes, with a class of 300
ACTS = 7  # of each visitor


@dataclass
class Seen:
    """All visitors of one crowd together."""

    visitors: list[dict]  # Times, as dictionaries
    server: Cost
    clients: Cost
    browser: float | None = None  # seconds to the first picture in a real Chromium while the crowd arrived
    caches: dict[str, int] = field(default_factory=dict)  # bytes by name, at the end
    went: dict[str, float] | None = None  # processor seconds by where they went, "all" of them too
    restarts: list[float] = field(default_factory=list)  # seconds that each ended reader took until it was back

    def of(self, name: str) -> list[float]:
        return [seconds for visitor in self.visitors for seconds in visitor[name]]

    @property
    def errors(self) -> list[str]:
        return [error for visitor in self.visitors for error in visitor["errors"]]

    @property
    def megabytes(self) -> float:
        """By HTTP, a visitor."""
        return mean(visitor["received"] for visitor in self.visitors) / 1e6


def lines(ours: Seen, floor: Seen | None) -> tuple[list[str], bool]:
    """The table and the costs; and whether every promise to a class of this size holds."""
    n = len(ours.visitors)
    limits = next((LIMITS[size] for size in sorted(LIMITS) if n <= size), {})
    rows = [
        ("time to first picture", "picture", limits.get("picture")),
        ("head change: its exact numbers", "numbers", limits.get("head")),
        ("head change: the report's rerun", "report", limits.get("head")),
        ("new sentence of 64 tokens", "sentence", limits.get("sentence")),
    ]
    told = [
        f"| {'p50 / p95 / p99':32} |    n | {'here':24} | p95 at most | holds | {'an empty Streamlit page':24} |",
        f"|{'-' * 34}|-----:|{'-' * 26}|------------:|-------|{'-' * 26}|",
    ]
    held = True
    for what, name, most in rows:
        times = ours.of(name)
        holds = most is None or (bool(times) and share_of(times, 0.95) <= most)
        held &= holds
        words = "" if most is None else "yes" if holds else "NO"
        empty = _three(floor.of(name)) if floor else ""
        limit = "" if most is None else _seconds(most)
        told.append(f"| {what:32} | {len(times):4} | {_three(times):24} | {limit:>11} | {words:5} | {empty:24} |")
    done = len(ours.of("numbers")) + len(ours.of("sentence"))
    held &= not ours.errors and done == ACTS * n
    told += ["", f"errors    {len(ours.errors)} among {n} visitors; {done} of {ACTS * n} changes were answered"]
    told += [f"          {count} × {error}" for error, count in Counter(ours.errors).most_common(5)]
    told += [_cost("server", ours), *_went(ours), *_restarts(ours), *_memory(ours)]
    held &= n <= 100 or ours.server.memory <= MOST_MEMORY
    told.append(f"network   {ours.megabytes:.2f} MB a visitor by HTTP")
    if ours.browser is not None:
        told.append(
            f"browser   a real Chromium that came with the crowd, here at low priority, had its first picture after "
            f"{ours.browser:.2f} s"
        )
    if floor:
        told.append(_cost("floor", floor))
        most = f"{floor.server.memory / 1e6:,.0f} MB of memory"
        told.append(f"          {len(floor.errors)} errors; {most}; {floor.megabytes:.2f} MB a visitor by HTTP")
    return told, held


def _cost(name: str, seen: Seen) -> str:
    server, clients = seen.server, seen.clients
    each = 1000 * server.cpu / len(seen.visitors)
    busy = (
        f"{server.cpu:.0f} s of processor in {server.seconds:.0f} s ({server.cores:.2f} cores, {each:.0f} ms a visitor)"
    )
    return f"{name:9} {busy}; the clients beside it {clients.cpu:.0f} s ({clients.cores:.2f} cores)"


def _went(seen: Seen) -> list[str]:
    """The processor a visitor by where it went. What no place counts is Streamlit's, the event loop's and Python's."""
    if seen.went is None:
        return []
    each = {place: 1000 * seconds / len(seen.visitors) for place, seconds in seen.went.items()}
    rest = each.pop("all") - sum(each.values())
    places = ", ".join(f"{place} {each[place]:.0f}" for place in sorted(each, key=lambda place: -each[place]))
    return [f"          of that, ms a visitor: {places}; Streamlit, the event loop and all else {rest:.0f}"]


def _restarts(seen: Seen) -> list[str]:
    if not seen.restarts:
        return []
    times = ", ".join(f"{seconds:.1f}" for seconds in seen.restarts)
    longest = max(seen.of("sentence"), default=0.0)
    verdict = "within" if longest <= 2 * max(seen.restarts) else "NOT within"
    told = f"readers ended, and back after {times} s; the longest sentence took {longest:.1f} s, {verdict} twice that"
    return [f"kills     {len(seen.restarts)} {told}"]


def _memory(seen: Seen) -> list[str]:
    before, most = seen.server.before, seen.server.memory
    held = ", ".join(f"{name} {size / 1e6:,.0f}" for name, size in seen.caches.items())
    return [
        f"memory    {most / 1e6:,.0f} MB at most, {before / 1e6:,.0f} MB before the crowd: "
        f"{(most - before) / len(seen.visitors) / 1e6:.2f} MB a visitor, caches included",
        f"          the caches hold at the end, in MB: {held}",
    ]


def share_of(times: list[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]


def _three(times: list[float]) -> str:
    return " / ".join(_seconds(share_of(times, share)) for share in (0.5, 0.95, 0.99)) if times else ""


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"
