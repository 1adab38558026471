"""What a crowd saw as ratios to the machine of the same run: machines differ by a factor of two, ratios do not."""

from tests.commands.benchmarks.load.report import Seen, share_of


def ratios(ours: Seen, floor: Seen | None, plain_seconds: float) -> list[str]:
    """Lines of ratios, the seconds beside them.

    p is the idle machine's plain pass of 64 tokens; e the empty page under the same crowd, if it was tried (`floor`).
    """
    n, p = len(ours.visitors), plain_seconds
    sentence, head = (60, 6) if n > 100 else (20, 3)
    lines = [f"ratios    p = {1000 * p:.1f} ms: a plain pass of 64 tokens on this machine before anybody came"]
    for name, what, most in (("sentence", "a new sentence", sentence), ("numbers", "a head's numbers", head)):
        if times := ours.of(name):
            lines.append(_line(f"p95 of {what}", share_of(times, 0.95) / p, "p", most, share_of(times, 0.95)))
    if floor is None:
        return [*lines, "          without the empty page beside it (FLOOR=1) there is no e"]
    opened, empty = share_of(ours.of("picture"), 0.95), share_of(floor.of("picture"), 0.95)
    lines.append(f"          e = {empty:.2f} s: the empty page's p95 to open under the same crowd")
    lines.append(_line("p95 of the first picture, less p", (opened - p) / empty, "e", 1.5, opened))
    own = ours.went.get("pass", 0.0) if ours.went else 0.0
    cost, least = (ours.server.cpu - own) / n, floor.server.cpu / n
    lines.append(_line("processor a visitor, less its passes", cost / least, "e's", 1.6, cost))
    return lines


def _line(what: str, ratio: float, unit: str, most: float, seconds: float) -> str:
    verdict = "holds" if ratio <= most else "MISSED"
    return f"          {what}: {ratio:.1f} {unit} (at most {most:g}: {verdict}), {1000 * seconds:.0f} ms"
