"""Render one chat template in a process of its own, with bounds on time and memory: JSON in, JSON out.

A template is a stranger's program. transformers runs it in a sandbox that keeps it from files and modules, but not from
taking minutes or filling the memory, so it runs here, where both end the process and nothing else.
"""

import json
import sys

CPU_SECONDS, MEMORY_BYTES = 3, 2_000_000_000  # starting takes a second and half a gigabyte of addresses
LONGEST = 200_000  # characters of a prompt: far more than are read


def main() -> None:
    """stdin: {"template", "messages", "tokens"} → stdout: {"prompt"} or {"error"}."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    except ImportError:  # Windows: whoever asked still waits no longer than he said
        pass
    asked = json.load(sys.stdin)
    from transformers.utils.chat_template_utils import render_jinja_template

    try:
        (prompt,), _ = render_jinja_template(
            [asked["messages"]], chat_template=asked["template"], add_generation_prompt=True, **asked["tokens"]
        )
        answer = {"prompt": prompt} if len(prompt) <= LONGEST else {"error": "what it makes is too long"}
    except MemoryError:
        answer = {"error": "it needs too much memory"}
    except Exception as error:  # whatever the template raises
        lines = str(error).strip().splitlines() or [type(error).__name__]
        answer = {"error": lines[0][:200]}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
