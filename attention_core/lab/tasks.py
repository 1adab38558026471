"""The tasks of the Lab's presets, marked from the tensors: done or not, and in a sentence how far it is.

Words are found by name, so a task survives edits of everything else. None of them raises: a state that the task cannot
be marked on gets a sentence.
"""

from collections.abc import Callable
from functools import wraps
from typing import NamedTuple

import torch

from attention_core.lab.edits import moved, with_switch
from attention_core.lab.facts import shuffle_difference
from attention_core.lab.run import run
from attention_core.lab.state import LabState


class TaskResult(NamedTuple):
    """How a task stands."""

    done: bool
    says: str


class _CannotMark(Exception):
    """A sentence for the reader."""


def _task(check: Callable[[LabState], TaskResult]) -> Callable[[LabState], TaskResult]:
    @wraps(check)
    def marked(state: LabState) -> TaskResult:
        try:
            if state.direct:
                raise _CannotMark("This task belongs to its preset; a real head is in the Lab now.")
            return check(state)
        except (_CannotMark, ValueError) as reason:  # ValueError: words moved so that the masks leave one nothing
            return TaskResult(False, str(reason))

    return marked


@_task
def it_looks_at_animal(state: LabState) -> TaskResult:
    """“it” gives “animal” at least 60%, in one head."""
    it, animal = _place(state, "it"), _place(state, "animal")
    row = _probabilities(state)[:, it]
    best = float(row[:, animal].max())
    top = state.words[int(row[int(row[:, animal].argmax())].argmax())]
    return TaskResult(best >= 0.6, f"“it” gives “animal” {best:.0%} of the 60% asked for; most goes to “{top}”.")


@_task
def lion_looks_at_animals(state: LabState) -> TaskResult:
    """“lion” gives “cat” and “dog” at least half of its attention together."""
    lion, cat, dog = (_place(state, word) for word in ("lion", "cat", "dog"))
    row = _probabilities(state)[0, lion]
    share = float(row[cat] + row[dog])
    return TaskResult(share >= 0.5, f"“lion” gives “cat” and “dog” {share:.0%} of the 50% asked for.")


@_task
def two_words_back(state: LabState) -> TaskResult:
    """Every word from the third on gives at least 60% to the word two places before it."""
    weights = _probabilities(state)[0]
    shares = [float(weights[i, i - 2]) for i in range(2, state.n_words)]
    done = sum(share >= 0.6 for share in shares)
    return TaskResult(
        done == len(shares),
        f"{done} of {len(shares)} words give at least 60% to the word two back; the smallest share is "
        f"{min(shares):.0%}.",
    )


@_task
def cat_and_dog_exchanged(state: LabState) -> TaskResult:
    """Looking at “cat” writes “dog” and the other way round, “fish” stays, and “who” still finds “dog”."""
    places = {word: _place(state, word) for word in ("cat", "dog", "fish", "who")}
    x = state.tensor("x")
    written = x @ state.tensor("w_v") @ state.tensor("w_o") @ x.mT  # [looked at, written]: how much of each word
    wanted = {"cat": "dog", "dog": "cat", "fish": "fish"}
    writes = {}
    for word in wanted:
        row = written[places[word]]
        top = float(row.max())
        first = row >= top - 1e-9
        writes[word] = state.words[int(row.argmax())] if top > 1e-9 and int(first.sum()) == 1 else "nothing clear"
    looks = float(_probabilities(state)[:, places["who"], places["dog"]].max())
    says = ", ".join(f"“{word}” writes {_quoted(writes[word])}" for word in wanted)
    return TaskResult(
        writes == wanted and looks >= 0.6, f"Looking at {says}; “who” gives “dog” {looks:.0%} (60% or more)."
    )


@_task
def average_without_padding(state: LabState) -> TaskResult:
    """Even weights over all words but “<pad>”, with W_Q left at 0."""
    pad = _place(state, "<pad>")
    weights = _probabilities(state)
    wanted = torch.full((state.n_words,), 1 / (state.n_words - 1), dtype=torch.float64)
    wanted[pad] = 0.0
    if bool(state.tensor("w_q").any()):
        return TaskResult(False, "W_Q must stay 0: the row is to be even because nothing is asked for.")
    off = float((weights - wanted).abs().max())
    share = float(weights[..., pad].max())
    says = f"“<pad>” gets up to {share:.0%}, and a weight is up to {off:.2f} off."
    return TaskResult(off < 1e-6, says if off >= 1e-6 else "“<pad>” gets nothing; every other word the same.")


@_task
def only_it_wakes(state: LabState) -> TaskResult:
    """“it” gives “cat” at least half; every other word gives “<s>” at least 90%."""
    start, cat, it = (_place(state, word) for word in ("<s>", "cat", "it"))
    weights = _probabilities(state)[0]
    wakes = float(weights[it, cat])
    least = min(float(weights[i, start]) for i in range(state.n_words) if i != it)
    return TaskResult(
        wakes >= 0.5 and least >= 0.9,
        f"“it” gives “cat” {wakes:.0%} (50% or more); the others give the sink at least {least:.0%} (90% or more).",
    )


@_task
def heads_with_other_jobs(state: LabState) -> TaskResult:
    """Head 1 gives the previous word at least 60%; head 2 gives words of the other kind at least 80%."""
    if state.n_heads < 2:
        raise _CannotMark("This task needs two heads.")
    weights = _probabilities(state)
    x = state.tensor("x")
    alike = torch.nn.functional.cosine_similarity(x[:, None], x[None, :], dim=-1) > 0.5
    others = float((weights[1] * ~alike).sum(dim=-1).min())
    before = min(float(weights[0, i, i - 1]) for i in range(1, state.n_words))
    return TaskResult(
        others >= 0.8 and before >= 0.6,
        f"Head 2 gives the other kind at least {others:.0%} (80% or more); head 1 gives the previous word at least "
        f"{before:.0%} (60% or more).",
    )


@_task
def reads_fifteen(state: LabState) -> TaskResult:
    """“?” reads 15 (± 0.5) as a mixture of “one” and “two”, with the entries 10, 20 and 30 unchanged."""
    asks = _place(state, "?")
    entries = state.tensor("x")[[_place(state, word) for word in ("one", "two", "three")]][:, -1]
    if entries.tolist() != [10.0, 20.0, 30.0]:
        return TaskResult(False, "The entries must stay 10, 20 and 30: ask differently.")
    if not 14.5 <= (reads := float(run(state).result[asks, -1])) <= 15.5:
        return TaskResult(False, f"“?” reads {reads:.2f}; 14.5 to 15.5 are asked for.")
    row = _probabilities(state)[0, asks]
    one, two = float(row[_place(state, "one")]), float(row[_place(state, "two")])
    return TaskResult(
        min(one, two) >= 0.3, f"“?” reads {reads:.2f}, with {one:.0%} from “one” and {two:.0%} from “two”."
    )


@_task
def saved_without_scaling(state: LabState) -> TaskResult:
    """Without ÷ √d_k, for d_k ≥ 16, the weights are within 0.001 of those with it."""
    if state.switches.scale:
        return TaskResult(False, "The division by √d_k is on; the task is to do without it.")
    if state.d_head < 16:
        return TaskResult(False, f"d_k is {state.d_head}; nothing has to be saved below 16.")
    wanted = run(with_switch(state, scale=True, temperature=1.0, softmax="softmax")).weights
    off = float((run(state).weights - wanted).abs().max())
    return TaskResult(off <= 1e-3, f"The largest difference from the weights with ÷ √{state.d_head} is {off:.3f}.")


@_task
def order_counts(state: LabState) -> TaskResult:
    """Read backwards, some result changes by at least 0.05."""
    off = shuffle_difference(state, range(state.n_words)[::-1])
    return TaskResult(off >= 0.05, f"Read backwards, a result differs by up to {off:.2g}; 0.05 is asked for.")


@_task
def distance_costs(state: LabState) -> TaskResult:
    """“door” gives “key” less than half as much from the far end of the text as from next to it."""
    if state.n_words < 4:
        raise _CannotMark("This task needs at least four words.")
    door = _place(state, "door")
    at_end = moved(state, door, state.n_words - 1)
    key = _place(at_end, "key")

    def weight(place: int) -> float:
        placed = moved(at_end, key, place)
        return float(_probabilities(placed)[:, state.n_words - 1, place].max())

    near, far = weight(state.n_words - 2), weight(0)
    return TaskResult(
        near > 0.01 and far < near / 2,
        f"“door” gives “key” {near:.1%} next to it and {far:.1%} at {state.n_words - 1} words' distance.",
    )


def _place(state: LabState, word: str) -> int:
    if word not in state.words:
        raise _CannotMark(f"This task needs the word “{word}”; bring it back, or reset.")
    return state.words.index(word)


def _probabilities(state: LabState) -> torch.Tensor:
    if state.switches.softmax == "none":
        raise _CannotMark("Without softmax weights are no shares; this task needs them.")
    return run(state).weights


def _quoted(word: str) -> str:
    return word if word == "nothing clear" else f"“{word}”"
