"""4,096 tokens × 12 heads × 4 layers in a small random model, in a process of its own: seconds, and memory at its peak.

`python -m tests.commands.benchmarks.long_text` prints the figures as JSON.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from tests.commands.benchmarks.table import Row
from tests.support.serving import ROOT

N_TOKENS, N_LAYERS, N_HEADS, D_HEAD = 4096, 4, 12, 64
ATLAS_SECONDS, HEAD_SECONDS = 5.0, 1.0
TIMES_KEPT = 3  # peak memory, in bytes of x, q, k, v and output
BLOCK_BYTES = 128 * N_HEADS * N_TOKENS * 4  # one block of rows: 128 queries of every head


def rows() -> list[Row]:
    """The figures beside their targets."""
    found = measured()
    size = f"{N_TOKENS:,} tokens × {N_HEADS} heads × {N_LAYERS} layers"
    return [
        Row(
            f"text → all heads, {size}",
            found["capture"] + found["overview"],
            "s",
            ATLAS_SECONDS,
            f"reading {found['capture']:.2f} s, drawing {found['overview']:.2f} s; torch threads: {found['threads']}",
        ),
        Row("  one head in full, with its proof", found["head"], "s", HEAD_SECONDS, f"a tile {found['tile']:.3f} s"),
        Row(
            "  memory above the loaded model at its peak",
            found["peak"],
            "B",
            TIMES_KEPT * found["kept"] + BLOCK_BYTES,
            f"{found['peak'] / found['kept']:.2f} × the bytes of x, q, k, v and output",
        ),
    ]


def measured() -> dict[str, float]:
    """Run in a fresh process, so that the peak is this text's own."""
    command = [sys.executable, "-m", "tests.commands.benchmarks.long_text"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    return json.loads(done.stdout.splitlines()[-1])


def _measure() -> dict[str, float]:
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaModel

    from attention_core import capture
    from attention_core.models.loading import wrap_model
    from attention_core.pictures import head
    from attention_core.pictures.overview import overview
    from attention_core.reading.reading import Reading
    from attention_core.record.layers import LayerTrace
    from pages.shared.process.memory import keep_freed_memory
    from pages.shared.process.settings import from_environment
    from tests.commands.benchmarks.capture import FOLDER
    from tests.commands.benchmarks.texts import text_of

    threads = from_environment().long_threads
    torch.set_num_threads(threads)
    keep_freed_memory()  # as the app does
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(FOLDER, model_max_length=N_TOKENS)  # only the length matters
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=N_HEADS * D_HEAD,
        intermediate_size=2 * N_HEADS * D_HEAD,
        num_hidden_layers=N_LAYERS,
        num_attention_heads=N_HEADS,
        max_position_embeddings=N_TOKENS,
    )
    model = wrap_model(LlamaModel(config).eval(), tokenizer, name="random, 4,096 tokens")
    overview(capture(model, "warm up"), Reading())
    text, before = text_of(N_TOKENS), _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    times: dict[str, float] = {}

    def timed(name: str, job):
        start = time.perf_counter()
        result = job()
        times[name] = time.perf_counter() - start
        return result

    trace = timed("capture", lambda: capture(model, text))
    timed("overview", lambda: overview(trace, Reading()))
    peak = _memory("VmHWM") - before
    timed("head", lambda: head.head_pack(trace, Reading(), 2, 3))
    timed("tile", lambda: head.tile_pack(trace, Reading(), 2, 3, 1024, 512))
    peak = max(peak, _memory("VmHWM") - before)
    # x is N_TOKENS × d_model in each layer; what is kept beside these five is not counted in their favour.
    layers = [layer for layer in trace.layers if isinstance(layer, LayerTrace)]
    tensors = [tensor for layer in layers for tensor in (layer.x_query, *(layer.tensors()[n] for n in _NAMES))]
    kept = sum(tensor.nbytes for tensor in tensors if tensor is not None)
    return {**times, "peak": peak, "kept": kept, "threads": threads}


_NAMES = ("q", "k", "v", "output")


def _memory(name: str) -> int:
    """Bytes by the kernel's own count: VmRSS now, VmHWM at its peak."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"the kernel does not tell {name}")


if __name__ == "__main__":
    print(json.dumps(_measure()))
