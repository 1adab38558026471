"""Every edit in every layer of five families, against an attention written by hand in plain torch.

GPT-2, Llama with grouped heads, BERT, T5 with its two kinds of self-attention and cross-attention, gpt-oss with sinks
and a window in every other layer.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from attention_core.capturing.capture import prepare
from attention_core.experiment.edits import (
    AddDirection,
    Break,
    CutLink,
    Edit,
    ExperimentError,
    Patch,
    ReplaceToken,
    ZeroValue,
)
from attention_core.experiment.running import Runs
from tests.core.experiment.attention_by_hand import ByHand, Call, Model
from tests.core.experiment.by_hand import FAMILIES, OTHER, inputs_of, texts_of
from tests.support.tiny import SENTENCE, WORDS, family

HEAD = 1
ENOUGH = 2e-4  # ten times what two runs may differ by: an edit that changes less was hardly made
Case = tuple[Edit, dict[int, ByHand]]


class Subject:
    """One family: the runs that are tested, and the same model by hand."""

    def __init__(self, name: str) -> None:
        self.name, loaded = name, family(name)
        self.runs = Runs(prepare(loaded, SENTENCE, **texts_of(loaded)))
        self.hand = Model(name)
        self.inputs, self.others = inputs_of(loaded), inputs_of(loaded, OTHER)
        self.plain, self.calls = self.hand.run(self.inputs)
        _, self.other_calls = self.hand.run(self.others)

    @property
    def layers(self) -> range:
        return range(len(self.calls))

    def compare(self, cases: list[Case]) -> None:
        """Each edit's row of one batch, against a run by hand."""
        found = self.runs.run([(), *((edit,) for edit, _ in cases)]).hidden
        assert found is not None
        close(found[0], self.plain, "nothing")
        for row, (edit, changes) in zip(found[1:], cases, strict=True):
            wanted, _ = self.hand.run(self.inputs, changes)
            close(row, wanted, str(edit))
            assert float((wanted - self.plain).abs().max()) > ENOUGH, f"by hand nothing changes: {edit}"


def close(found: Tensor, wanted: Tensor, what: str) -> None:
    torch.testing.assert_close(found, wanted, atol=2e-5, rtol=1e-5, msg=lambda text: f"{what}: {text}")


@pytest.fixture(params=FAMILIES)
def subject(request: pytest.FixtureRequest) -> Subject:
    return Subject(request.param)


def weights_to(make: Callable[[Call, Tensor], Tensor], head: int = HEAD) -> ByHand:
    """The weights of one head made anew, of the call and all weights."""

    def after(call: Call, weights: Tensor) -> Tensor:
        changed = weights.clone()
        changed[head] = make(call, weights)
        return changed

    return ByHand(after=after)


def forbid(heads: slice, query: int | slice, keys: list[int]) -> ByHand:
    def before(call: Call) -> None:
        for key in keys:
            column = call.allowed[heads, query, key]
            call.allowed[heads, query, key] = False
            empty = ~call.allowed[heads, query].any(-1)  # a row that reads nothing else stays as it is
            call.allowed[heads, query, key] = column & empty

    return ByHand(before=before)


def nothing_from(heads: slice, query: int | slice, keys: list[int]) -> ByHand:
    def after(call: Call, weights: Tensor) -> Tensor:
        changed = weights.clone()
        for key in keys:
            kept = changed[heads, query].clone()
            kept[..., key] = 0
            alone = ~(call.allowed[heads, query] & (torch.arange(kept.shape[-1]) != key)).any(-1, keepdim=True)
            changed[heads, query] = torch.where(alone, changed[heads, query], kept)
        return changed

    return ByHand(after=after)


def one_hot(places: Tensor, n: int) -> Tensor:
    return torch.nn.functional.one_hot(places, n).float()


def test_links_are_cut_in_every_layer(subject: Subject):
    own, every = slice(HEAD, HEAD + 1), slice(None)
    for layer in subject.layers:
        query = subject.calls[layer].q.shape[1] - 1
        last = min(query, subject.calls[layer].k.shape[1] - 1)  # a window may hide the first keys
        some = [int(subject.calls[layer].weights()[HEAD, query].argmax())]
        cases: list[Case] = [
            (CutLink(layer, HEAD, query, tuple(some)), {layer: forbid(own, query, some)}),
            (
                CutLink(layer, HEAD, query, (last, last - 2), "weight"),
                {layer: nothing_from(own, query, [last, last - 2])},
            ),
            (CutLink(layer, None, query, tuple(some)), {layer: forbid(every, query, some)}),
            (CutLink(layer, None, query, tuple(some), "weight"), {layer: nothing_from(every, query, some)}),
            (CutLink(layer, HEAD, None, (1,)), {layer: forbid(own, every, [1])}),
            (CutLink(layer, HEAD, None, (0,), "weight"), {layer: nothing_from(own, every, [0])}),
        ]
        subject.compare(cases)


def test_links_are_cut_in_a_window_of_layers(subject: Subject):
    """All layers of one side, of all heads, as Geva et al. do."""
    first, last = (0, 1)
    query, key = subject.calls[0].q.shape[1] - 1, subject.calls[0].q.shape[1] - 2
    cut = forbid(slice(None), query, [key])
    subject.compare([(CutLink(first, None, query, (key,), until=last), {first: cut, last: cut})])


def test_weights_are_made_by_another_rule_in_every_layer(subject: Subject):
    for layer in subject.layers:
        call = subject.calls[layer]
        n_query, n_key = call.q.shape[1], call.k.shape[1]

        def unscaled(call: Call) -> None:
            call.scale[HEAD] = 1.0

        def unmasked(call: Call) -> None:
            call.allowed[HEAD] = True

        cases: list[Case] = [
            (Break(layer, HEAD, "uniform"), {layer: weights_to(_even)}),
            (Break(layer, HEAD, "hard max"), {layer: weights_to(_hardest)}),
            (Break(layer, HEAD, "temperature", temperature=0.5), {layer: weights_to(_at_half)}),
            (Break(layer, HEAD, "other head", other=0), {layer: weights_to(lambda _, weights: weights[0])}),
        ]
        if float(call.scale[HEAD]) != 1.0:  # T5 does not scale
            cases.append((Break(layer, HEAD, "no scale"), {layer: ByHand(before=unscaled)}))
        if not bool(call.allowed.all()):
            cases.append((Break(layer, HEAD, "no mask"), {layer: ByHand(before=unmasked)}))
        if n_query == n_key:
            rows = torch.arange(n_query)
            itself, before = one_hot(rows, n_key), one_hot((rows - 1).clamp_min(0), n_key)
            cases.append((Break(layer, HEAD, "itself"), {layer: weights_to(lambda *_, made=itself: made)}))
            cases.append((Break(layer, HEAD, "previous"), {layer: weights_to(lambda *_, made=before: made)}))
        subject.compare(cases)


def _even(call: Call, _: Tensor) -> Tensor:
    allowed = call.allowed[HEAD].float()
    return allowed / allowed.sum(-1, keepdim=True)


def _hardest(call: Call, _: Tensor) -> Tensor:
    scores = call.scores()[HEAD]
    return one_hot(scores.argmax(-1), scores.shape[-1])


def _at_half(call: Call, _: Tensor) -> Tensor:
    return call.weights(0.5)[HEAD]


def test_what_changes_nothing_where_there_is_no_scale_or_no_mask_changes_nothing():
    t5 = Subject("t5")
    found = t5.runs.run([(), (Break(0, HEAD, "no scale"),), (Break(0, HEAD, "no mask"),)]).hidden
    assert found is not None
    torch.testing.assert_close(found[1:], found[:1].expand(2, -1, -1), atol=1e-5, rtol=1e-5)


def test_values_are_zeroed_in_every_layer(subject: Subject):
    for layer in subject.layers:

        def of_head(call: Call) -> None:
            call.v[HEAD, 1] = 0

        def of_all(call: Call) -> None:
            call.v[:, 1] = 0

        subject.compare(
            [
                (ZeroValue(layer, HEAD, 1), {layer: ByHand(before=of_head)}),
                (ZeroValue(layer, None, 1), {layer: ByHand(before=of_all)}),
            ]
        )


PAIRS = ((1, 3), (5, 0))


@pytest.mark.parametrize("part", ["q", "k", "v", "pattern"])
def test_parts_of_a_head_are_taken_from_a_second_text_in_every_layer(subject: Subject, part: str):
    """Every position, and two of them; a key or a value for all heads that share it."""
    n_tried = 0
    for layer in subject.layers:
        mine, other = subject.calls[layer], subject.other_calls[layer]
        if part == "pattern":
            made = other.weights()[HEAD]
            whole, some = weights_to(lambda *_, made=made: made), weights_to(_rows_and_columns(made))
        else:
            whole, some = _input_from(part, other, None), _input_from(part, other, PAIRS)
        tensors = (
            (mine.weights(), other.weights()) if part == "pattern" else (getattr(mine, part), getattr(other, part))
        )
        if torch.equal(*tensors):  # T5's decoder reads the same text in both runs until it looks at the encoder
            continue
        n_tried += 1
        cases: list[Case] = [
            (Patch(layer, HEAD, part, OTHER), {layer: whole}),  # type: ignore[arg-type]
            (Patch(layer, HEAD, part, OTHER, PAIRS), {layer: some}),  # type: ignore[arg-type]
        ]
        subject.compare(cases)
    assert n_tried >= 2


def _input_from(part: str, other: Call, pairs: tuple[tuple[int, int], ...] | None) -> ByHand:
    def before(call: Call) -> None:
        first = HEAD // call.n_shared * call.n_shared
        heads = [HEAD] if part == "q" else list(range(first, first + call.n_shared))
        mine, theirs = getattr(call, part), getattr(other, part)
        for here, there in pairs or [(i, i) for i in range(mine.shape[1])]:
            mine[heads, here] = theirs[heads, there]

    return ByHand(before=before)


def _rows_and_columns(other: Tensor) -> Callable[[Call, Tensor], Tensor]:
    def make(_: Call, weights: Tensor) -> Tensor:
        changed = weights[HEAD].clone()
        for here, there in PAIRS:
            changed[here] = 0
            for column, other_column in PAIRS:
                changed[here, column] = other[there, other_column]
        return changed

    return make


def test_the_stream_before_every_block_is_patched_and_pushed(subject: Subject):
    """Where no block begins, as at T5's cross-attention, it is refused and says where one does."""
    mine, theirs = subject.hand.streams(subject.inputs), subject.hand.streams(subject.others)
    sites = subject.runs.sites
    for layer in subject.layers:
        block = sites.block_of(layer)
        if block is None:
            assert subject.name == "t5"
            with pytest.raises(ExperimentError, match="none begins at layer"):
                subject.runs.run([(), (Patch(layer, None, "residual", OTHER),)])
            continue
        direction = 0.5 * (theirs[block][-1] - mine[block][-1])

        def patched(x: Tensor, theirs: Tensor = theirs[block]) -> Tensor:
            changed = x.clone()
            for here, there in PAIRS:
                changed[:, here] = theirs[there]
            return changed

        def pushed(x: Tensor, direction: Tensor = direction) -> Tensor:
            changed = x.clone()
            changed[:, [2, 4]] += direction
            return changed

        edits = (Patch(layer, None, "residual", OTHER, PAIRS), AddDirection(layer, OTHER, SENTENCE, 0.5, (2, 4)))
        found = subject.runs.run([(), *((edit,) for edit in edits)]).hidden
        assert found is not None
        for row, edit, change in zip(found[1:], edits, (patched, pushed), strict=True):
            with subject.hand.streamed(block, change):
                wanted, _ = subject.hand.run(subject.inputs)
            close(row, wanted, str(edit))


def test_a_word_is_replaced_in_the_text_and_in_the_decoder_s(subject: Subject):
    dog, cat = WORDS.index("dog"), WORDS.index("cat")
    edits = [(ReplaceToken(2, dog), "input_ids", dog), (ReplaceToken(3), "input_ids", WORDS.index("[MASK]"))]
    if "decoder_input_ids" in subject.inputs:
        edits.append((ReplaceToken(2, cat, target=True), "decoder_input_ids", cat))
    found = subject.runs.run([(), *((edit,) for edit, _, _ in edits)]).hidden
    assert found is not None
    for row, (edit, name, token) in zip(found[1:], edits, strict=True):
        ids = subject.inputs[name].clone()
        ids[0, edit.position] = token
        wanted, _ = subject.hand.run({**subject.inputs, name: ids})
        close(row, wanted, str(edit))
        assert float((wanted - subject.plain).abs().max()) > ENOUGH
