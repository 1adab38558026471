"""Where a server's processor time went while a crowd was there, by what its health answer counts."""

from collections import defaultdict
from typing import Any


def where_it_went(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> dict[str, float]:
    """Seconds by place over all servers, their readers' included; "all" is everything that they took."""
    went: defaultdict[str, float] = defaultdict(float)
    for sign, conditions in ((1, after), (-1, before)):
        for condition in conditions:
            for told in (condition["processor_s"], condition.get("reader", {}).get("processor_s", {})):
                for place, seconds in told.items():
                    went[place] += sign * seconds
    return dict(went)
