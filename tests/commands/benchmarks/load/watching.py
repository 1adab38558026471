"""What processes cost while a crowd is there: resident memory and processor time."""

import threading
import time
from dataclasses import dataclass

import psutil


@dataclass
class Cost:
    """Of some processes over a while, their children included."""

    seconds: float = 0.0
    cpu: float = 0.0  # processor seconds
    memory: int = 0  # bytes, the most at any time
    before: int = 0  # bytes at the start

    @property
    def cores(self) -> float:
        return self.cpu / self.seconds if self.seconds else 0.0


class Watch:
    """Looks every half second, in a thread: `with Watch([pid]) as cost: …`."""

    def __init__(self, pids: list[int]) -> None:
        self.processes = [psutil.Process(pid) for pid in pids]
        self.cost = Cost()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Cost:
        self.cost.before = self.cost.memory = self._memory()
        self._begun, self._cpu = time.monotonic(), self._processor()
        self._thread.start()
        return self.cost

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._take()

    def _look(self) -> None:
        while not self._stop.wait(0.5):
            self._take()

    def _take(self) -> None:
        cpu = self._processor()
        if cpu > self._cpu:  # a process that has ended counts what it was last seen with
            self.cost.cpu = cpu - self._cpu
        self.cost.seconds = time.monotonic() - self._begun
        self.cost.memory = max(self.cost.memory, self._memory())

    def _family(self) -> list[psutil.Process]:
        found = []
        for process in self.processes:
            try:
                found += [process, *process.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
        return found

    def _memory(self) -> int:
        return sum(_of(process, lambda p: p.memory_info().rss) for process in self._family())

    def _processor(self) -> float:
        return sum(_of(process, lambda p: sum(p.cpu_times()[:2])) for process in self._family())


def _of(process: psutil.Process, ask):
    try:
        return ask(process)
    except psutil.NoSuchProcess:
        return 0
