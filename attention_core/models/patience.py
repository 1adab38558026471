"""Run a tokenizer with a time limit: a stranger's patterns and replacements may take minutes over one line.

It runs in a thread of its own, one text at a time, and is not waited for longer than a few seconds. A thread cannot be
stopped, so a late one works on; meanwhile that model's tokenizer is given nothing else, and everybody gets an answer.
"""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock, Thread
from typing import Any, TypeVar

from attention_core.inside.of_tokenizers import is_panic
from attention_core.observe.refusal import ModelError

Result = TypeVar("Result")

SECONDS = 4.0  # the longest text that is read takes well-behaved tokenizers a tenth of that


class Patience:
    """Runs one job at a time and waits for none longer than `SECONDS`."""

    def __init__(self) -> None:
        self._running = Lock()
        self._given_up: Future[Any] | None = None  # asked, never told: no order of threads can leave a stale answer

    def run(self, job: Callable[[], Result]) -> Result:
        """What the job returns.

        Raises what it raises; ModelError with a plain sentence if it takes too long, another one does, or it panics.
        """
        late = self._given_up is not None and not self._given_up.done()
        if late or not self._running.acquire(timeout=SECONDS):
            raise ModelError("The tokenizer of this model is still busy with another text. Try again in a minute.")
        result: Future[Result] = Future()

        def work() -> None:
            try:
                result.set_result(job())
            except BaseException as error:  # whoever waits gets it
                result.set_exception(error)
            finally:
                self._running.release()

        Thread(target=work, name="tokenizer", daemon=True).start()
        try:
            return result.result(timeout=SECONDS)
        except TimeoutError:
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
