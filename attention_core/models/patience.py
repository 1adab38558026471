"""Run a tokenizer with a time limit: a stranger's patterns and replacements may take minutes over one line.

It runs in a thread of its own, one text at a time, and is not waited for once it has computed for a few seconds: on a
machine that is busy with other things an honest text takes as long by the clock. A thread cannot be stopped, so a late
one works on; meanwhile that model's tokenizer is given nothing else, and everybody gets an answer.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from threading import Lock, Thread
from typing import Any, TypeVar

from attention_core.inside.of_tokenizers import is_panic
from attention_core.observe.refusal import ModelError

Result = TypeVar("Result")

SECONDS = 4.0  # of the processor; the longest text that is read takes well-behaved tokenizers a tenth of that
BY_THE_CLOCK = 15  # times as many, at most
LOOK_SECONDS = 0.25  # between two looks at how long it has computed


class Patience:
    """Runs one job at a time and waits for none that has computed for longer than `SECONDS`."""

    def __init__(self) -> None:
        self._running = Lock()
        # Of whatever job. Asked, never told: no order of threads can leave a stale answer.
        self._given_up: Future[Any] | None = None

    def run(self, job: Callable[[], Result]) -> Result:
        """What the job returns.

        Raises what it raises; ModelError with a plain sentence if it takes too long, another one does, or it panics.
        """
        late = self._given_up is not None and not self._given_up.done()
        if late or not self._running.acquire(timeout=BY_THE_CLOCK * SECONDS):
            raise ModelError("The tokenizer of this model is still busy with another text. Try again in a minute.")
        result: Future[Result] = Future()

        def work() -> None:
            try:
                result.set_result(job())
            except BaseException as error:  # whoever waits gets it
                result.set_exception(error)
            finally:
                self._running.release()

        thread = Thread(target=work, name="tokenizer", daemon=True)
        thread.start()
        try:
            if _ends(result, thread):
                return result.result()
            self._given_up = result
        except BaseException as error:
            if not is_panic(error):
                raise
            raise ModelError(
                "The tokenizer of this model fails on this text. Change it, or choose another model."
            ) from None
        raise ModelError(
            "The tokenizer of this model takes too long over this text. Shorten it, or choose another model."
        )


def _ends(result: "Future[Result]", thread: Thread) -> bool:
    """Wait for a job; False once it has computed for too long."""
    began, latest = time.monotonic(), time.monotonic() + BY_THE_CLOCK * SECONDS
    while (now := time.monotonic()) < latest:
        if wait([result], timeout=min(LOOK_SECONDS, SECONDS, latest - now)).done:
            return True
        if _computed(thread, time.monotonic() - began) >= SECONDS:
            return False
    return False


def _computed(thread: Thread, by_the_clock: float) -> float:
    """Seconds for which a thread had a processor; by the clock where the system does not say."""
    try:
        spent = Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text(encoding="ascii")
        return int(spent.split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        return by_the_clock
