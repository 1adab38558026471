"""What experiments cost, in plain SDPA passes of the same text taken in turn: an edit, sweeps, and the null of a head.

And what they cost somebody else: a sentence read and drawn while a sweep goes on, against the same without one.

A text is prepared anew in every round, so that what is remembered from one experiment to the next helps nobody.
"""

import time
from pathlib import Path
from statistics import median
from threading import Event, Thread

import torch
from transformers import AutoModel
from transformers.utils import logging

from attention_core import EveryHead, OwnText, SwitchOff, TokenVector, load_model
from attention_core.capturing.capture import prepare_ids
from attention_core.experiment.effect import DRAWS, effect_of
from attention_core.experiment.question import Question
from attention_core.experiment.running import Runs
from attention_core.experiment.sweep import slices
from attention_core.models.facts import LoadedModel
from pages.shared.engine.local import LocalEngine
from pages.shared.service.service import service
from pages.shared.service.sources import Picture, Source
from tests.commands.benchmarks.capture import FOLDER, Run, times_in_turn
from tests.commands.benchmarks.table import Row, ratio_of
from tests.commands.benchmarks.texts import text_of

STORYTELLER = Path("assets/models/storyteller")
EDIT, SWEEP_MINILM, SWEEP_STORYTELLER, NULL = 2.5, 36, 10, 20  # plain passes, at most
BYSTANDER = 2.0  # times as long as usual


def rows(rounds: int) -> list[Row]:
    """One edit in the first and in the last layer, all heads of two models, and what the null of one head adds."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    minilm, storyteller = load_model("minilm"), load_model("storyteller")
    ids = list(minilm.encode(text_of(64))["input_ids"])
    assert len(ids) == 64
    written = torch.randint(10, len(storyteller.tokenizer) - 10, (20,), generator=torch.Generator().manual_seed(3))
    of_sentence, of_story = TokenVector(0), OwnText(1)
    return [
        *_against(_plain(FOLDER, ids), _edits(minilm, ids, of_sentence), rounds),
        *_against(
            _plain(FOLDER, ids),
            {"sweep of 72 heads, MiniLM, 64 tokens": (_sweep(minilm, ids, of_sentence), SWEEP_MINILM)},
            rounds,
        ),
        *_against(
            _plain(STORYTELLER, written.tolist()),
            {
                "sweep of 20 heads, Storyteller, 20 tokens": (
                    _sweep(storyteller, written.tolist(), of_story),
                    SWEEP_STORYTELLER,
                )
            },
            rounds,
        ),
        _null(minilm, ids, of_sentence, rounds),
        _bystander(ids, rounds),
    ]


def _plain(folder: Path, ids: list[int]) -> Run:
    model = AutoModel.from_pretrained(folder, attn_implementation="sdpa", dtype=torch.float32).eval()
    given = torch.tensor([ids])

    def run() -> object:
        with torch.inference_mode():
            return model(input_ids=given)

    return run


def _edits(model: LoadedModel, ids: list[int], question: Question) -> dict[str, tuple[Run, float]]:
    last = model.facts.n_layers - 1
    return {
        f"one edit, layer {layer}, MiniLM, 64 tokens": (
            lambda layer=layer: effect_of(Runs(prepare_ids(model, ids)), (SwitchOff(layer, 0, "zero"),), question, 0),
            EDIT,
        )
        for layer in (0, last)
    }


def _sweep(model: LoadedModel, ids: list[int], question: Question) -> Run:
    return lambda: list(slices(Runs(prepare_ids(model, ids)), EveryHead("zero"), question, draws=0))


def _against(plain: Run, runs: dict[str, tuple[Run, float]], rounds: int) -> list[Row]:
    times = times_in_turn({"plain": plain} | {what: run for what, (run, _) in runs.items()}, rounds)
    return [
        Row(f"{what} ÷ plain SDPA pass", ratio_of(times[what], times["plain"]), "×", most, _seconds(times[what], times))
        for what, (_, most) in runs.items()
    ]


def _null(model: LoadedModel, ids: list[int], question: Question, rounds: int) -> Row:
    """An effect with its null less the same effect without."""
    edits = (SwitchOff(0, 0, "zero"),)
    times = times_in_turn(
        {
            "plain": _plain(FOLDER, ids),
            "without": lambda: effect_of(Runs(prepare_ids(model, ids)), edits, question, 0),
            "with": lambda: effect_of(Runs(prepare_ids(model, ids)), edits, question, DRAWS),
        },
        rounds,
    )
    added = [a - b for a, b in zip(times["with"], times["without"], strict=True)]
    what = f"null of one head, {DRAWS} draws, MiniLM, 64 tokens"
    return Row(f"{what} ÷ plain SDPA pass", ratio_of(added, times["plain"]), "×", NULL, _seconds(added, times))


def _bystander(ids: list[int], rounds: int) -> Row:
    """A sentence as long as the one that is swept, new each time, from asking to its atlas; some during the sweep."""
    own = service()
    engine = LocalEngine(own)
    engine.start().result()
    stop, words = Event(), iter(range(10_000))

    def sentence() -> float:
        source = Source("minilm", f"{text_of(63)} {next(words)}")
        start = time.perf_counter()
        engine.read(source, "bystander").future.result()
        engine.pack(Picture(source), ("overview",))
        return 1000 * (time.perf_counter() - start)

    swept = Source("minilm", text_of(64))

    def sweeping() -> None:
        while not stop.is_set():
            running = engine.sweep(swept, EveryHead("zero").to_plain(), TokenVector(0).to_plain(), 0, "sweeper")
            while not stop.wait(0.01) and not running.future.done():
                pass
            running.cancel()

    n = 3 * rounds  # where in a slice somebody asks is chance
    sentence()
    alone = [sentence() for _ in range(n)]
    thread = Thread(target=sweeping)
    thread.start()
    try:
        beside = []
        for i in range(n):
            time.sleep(0.01 * (i % 7))
            beside.append(sentence())
    finally:
        stop.set()
        thread.join()
    what = "a bystander's sentence during a sweep, MiniLM, 64 tokens ÷ without one"
    note = f"{median(beside):.0f} ms; alone {median(alone):.0f} ms; the slowest {max(beside):.0f} ms"
    return Row(what, median(beside) / median(alone), "×", BYSTANDER, note)


def _seconds(milliseconds: list[float], times: dict[str, list[float]]) -> str:
    return f"{median(milliseconds) / 1000:.3f} s; a pass {median(times['plain']) / 1000:.4f} s"
