"""Chat templates: what a model that was trained on conversations reads around what somebody says.

The template is part of the tokenizer's files and a stranger's program: see `chat_child` for where it runs.
"""

import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from threading import BoundedSemaphore

from attention_core.text.tokenizer import Tokenizer

_CHILD = Path(__file__).with_name("chat_child.py")
_SECONDS = 20.0  # on a busy machine; the process itself is given a few seconds of computing
_LONGEST_TEMPLATE = 200_000  # characters
_at_once = BoundedSemaphore(2)


class ChatError(ValueError):
    """No prompt can be made of a text; the text of the error is a plain sentence."""


def template_of(tokenizer: Tokenizer) -> str | None:
    """A tokenizer's chat template; of several the one called "default". None without one."""
    template = getattr(tokenizer, "chat_template", None)
    if isinstance(template, dict):
        template = template.get("default")
    return template if isinstance(template, str) and template.strip() else None


def chat_prompt(tokenizer: Tokenizer, text: str) -> str:
    """The whole prompt, special tokens included, that asks for an answer to `text`, said by a user.

    It is `tokenizer.apply_chat_template([{"role": "user", "content": text}], add_generation_prompt=True)`, as text. The
    tokenizer adds nothing to it (`add_special_tokens=False`): the template has written all that there is.

    Raises ChatError if there is no template, or it fails, or takes too much time or memory.
    """
    template = template_of(tokenizer)
    if template is None:
        raise ChatError("The model's tokenizer has no chat template: switch it off.")
    if len(template) > _LONGEST_TEMPLATE:
        raise ChatError("The model's chat template is too long to be used.")
    tokens = {name: token for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)}
    return _rendered(template, text, tuple(tokens.items()))


@lru_cache(maxsize=4)  # a text is counted and then captured; with its prompt it may be some 100,000 characters long
def _rendered(template: str, text: str, tokens: tuple[tuple[str, str], ...]) -> str:
    asked = {"template": template, "messages": [{"role": "user", "content": text}], "tokens": dict(tokens)}
    # The path to Python's own libraries and no secrets of the server's.
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SYSTEMROOT") if name in os.environ}
    one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    if not _at_once.acquire(timeout=_SECONDS):
        raise ChatError("Too many chat templates are being run. Try again in a minute.")
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(_CHILD)],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=_SECONDS,
            env=kept | one_thread,
        )
        answer = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):  # ended by its bounds: no answer
        raise ChatError("The model's chat template takes too much time or memory: switch it off.") from None
    except OSError:
        raise ChatError("There is no room on this machine to run the model's chat template.") from None
    finally:
        _at_once.release()
    if "error" in answer:
        raise ChatError(f"The model's chat template does not take this text: {answer['error']}.")
    return str(answer["prompt"])
