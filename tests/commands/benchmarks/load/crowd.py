"""The clients' own process: it prints what its visitors saw as JSON.

python -m tests.commands.benchmarks.load.crowd plan.json
"""

import asyncio
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import uvloop

from tests.commands.benchmarks.load.recording import Recording
from tests.commands.benchmarks.load.visitor import Visitor


@dataclass(frozen=True, slots=True)
class Plan:
    """What one crowd does."""

    recording: str  # a Recording as JSON
    host: str
    port: int
    n: int
    arrive: float  # seconds within which all arrive
    seconds: float  # over which each then acts
    n_texts: int = 2
    n_heads: int = 5


async def _run(plan: Plan) -> list[dict]:
    recording = Recording.from_json(plan.recording)
    visitors = [Visitor(recording, plan.host, plan.port, i) for i in range(plan.n)]
    lives = [
        visitor.live(visitor.random.random() * plan.arrive, plan.seconds, plan.n_texts, plan.n_heads)
        for visitor in visitors
    ]
    return [asdict(times) for times in await asyncio.gather(*lives)]


if __name__ == "__main__":
    told = Plan(**json.loads(Path(sys.argv[1]).read_text()))
    print(json.dumps(uvloop.run(_run(told))))
