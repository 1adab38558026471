"""Lenses, broken rules, patched inputs and directions, each against a computation by hand."""

import pytest
import torch
from torch import Tensor

from attention_core import lenses
from attention_core.capturing.capture import prepare
from attention_core.experiment.edits import AddDirection, Break, Edit, Patch
from attention_core.experiment.running import Runs
from tests.core.experiment.by_hand import OTHER, inputs_of, last_vectors, output_projections, pre_hook
from tests.support.tiny import SENTENCE, family


def put_in(z: Tensor, head: int) -> object:
    """A hook that puts a head's z into its slot of what W_O reads."""

    def change(x: Tensor) -> Tensor:
        changed = x.clone()
        changed[..., head * z.shape[1] : (head + 1) * z.shape[1]] = z
        return changed

    return change


def test_scale_mask_and_temperature_by_hand():
    """GPT-2 multiplies q·k by 1/√5 (head of 5) and lets no token read a later one."""
    model = family("gpt2")
    runs = Runs(prepare(model, SENTENCE))
    later = torch.ones(12, 12, dtype=torch.bool).triu(1)
    for layer, module in enumerate(output_projections("gpt2", model.model)):
        one = runs.record.exact(layer)
        scores = one.q[1] @ one.k[1].T
        masked = scores.masked_fill(later, -torch.inf)
        wanted: list[tuple[Edit, Tensor]] = [
            (Break(layer, 1, "no scale"), masked.softmax(-1)),
            (Break(layer, 1, "no mask"), (scores / 5**0.5).softmax(-1)),
            (Break(layer, 1, "temperature", temperature=0.5), (masked / 5**0.5 / 0.5).softmax(-1)),
        ]
        found = runs.run([(), *((edit,) for edit, _ in wanted)]).hidden
        assert found is not None
        for row, (edit, weights) in zip(found[1:], wanted, strict=True):
            with pre_hook(module, put_in(weights @ one.v[1], 1)):  # type: ignore[arg-type]
                by_hand = last_vectors(model, inputs_of(model))
            torch.testing.assert_close(row, by_hand, atol=2e-5, rtol=1e-5, msg=str(edit))
            assert float((row - found[0]).abs().max()) > 1e-3, edit


@pytest.mark.parametrize("part", ["q", "k", "v", "pattern"])
def test_a_patched_part_of_one_head_by_hand(part: str):
    model = family("bert")
    runs, second = Runs(prepare(model, SENTENCE)), Runs(prepare(model, OTHER))
    for layer, module in enumerate(output_projections("bert", model.model)):
        own, other = runs.record.exact(layer), second.record.exact(layer)
        q, k, v = ((other if part == name else own) for name in ("q", "k", "v"))
        weights = (q.q[1] @ k.k[1].T / 5**0.5).softmax(-1)
        if part == "pattern":
            weights = (other.q[1] @ other.k[1].T / 5**0.5).softmax(-1)
        found = runs.run([(), (Patch(layer, 1, part, OTHER),)]).hidden  # type: ignore[arg-type]
        assert found is not None
        with pre_hook(module, put_in(weights @ v.v[1], 1)):  # type: ignore[arg-type]
            by_hand = last_vectors(model, inputs_of(model))
        torch.testing.assert_close(found[1], by_hand, atol=2e-5, rtol=1e-5)
        assert float((found[1] - found[0]).abs().max()) > 1e-3


def test_a_direction_added_before_a_block_by_hand():
    """The difference of two texts' last vectors, as the second block reads them."""
    model = family("gpt2")
    block = model.model.h[1]
    seen: list[Tensor] = []

    def keep(x: Tensor) -> Tensor:
        seen.append(x[0, -1].clone())
        return x

    for text in (SENTENCE, OTHER + " away"):
        with pre_hook(block, keep):
            last_vectors(model, inputs_of(model, text))
    found = Runs(prepare(model, SENTENCE)).run([(), (AddDirection(1, SENTENCE, OTHER + " away", 0.5, (2, 4)),)]).hidden

    def add(x: Tensor) -> Tensor:
        changed = x.clone()
        changed[0, [2, 4]] += 0.5 * (seen[0] - seen[1])
        return changed

    with pre_hook(block, add):
        by_hand = last_vectors(model, inputs_of(model))
    assert found is not None and float((found[1] - found[0]).abs().max()) > 1e-3
    torch.testing.assert_close(found[1], by_hand, atol=1e-5, rtol=1e-5)


def test_five_lenses_by_hand():
    """Of BERT: W_O's columns of this head, and the block's output with one link gone at a time."""
    model, layer, head, query = family("bert"), 0, 1, 4
    found = lenses(model, SENTENCE, layer, head, query)
    one = Runs(prepare(model, SENTENCE)).record.exact(layer)
    scores = one.q[head, query] @ one.k[head].T / 5**0.5
    weights = scores.softmax(-1)
    module = output_projections("bert", model.model)[layer]
    terms = weights[:, None] * (one.v[head] @ module.weight[:, 5:10].detach().T)  # type: ignore[index]
    total = terms.sum(0)
    assert found.length is not None and found.signed is not None
    torch.testing.assert_close(found.weight, weights, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found.length, terms.norm(dim=-1), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found.signed, terms @ total / total.square().sum(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.signed.sum(), torch.tensor(1.0), atol=1e-5, rtol=0)
    every = one.q[head] @ one.k[head].T / 5**0.5
    plain = block_output(model, module, every.softmax(-1) @ one.v[head])[query]
    for key in (0, 3, 7):
        without = one.v[head].clone()
        without[key] = 0
        zeroed = block_output(model, module, every.softmax(-1) @ without)[query]
        cut = every.clone()
        cut[query, key] = -torch.inf
        cut_out = block_output(model, module, cut.softmax(-1) @ one.v[head])[query]
        for lens, row in ((found.zeroed, zeroed), (found.cut, cut_out)):
            apart = 1 - torch.nn.functional.cosine_similarity(row.double(), plain.double(), dim=0)
            assert abs(float(lens[key]) - float(apart)) < 2e-6  # float32 runs; 1 − cosine of nearly equal vectors


def block_output(model: object, attention_output: torch.nn.Module, z: Tensor) -> Tensor:
    """What the first block of a BERT gives, [token, d_model], with z in the slot of head 1."""
    kept: list[Tensor] = []
    handle = model.model.encoder.layer[0].register_forward_hook(  # type: ignore[attr-defined]
        lambda _, __, output: kept.append(output[0] if isinstance(output, tuple) else output)
    )
    with pre_hook(attention_output, put_in(z, 1)):  # type: ignore[arg-type]
        last_vectors(model, inputs_of(model))  # type: ignore[arg-type]
    handle.remove()
    return kept[0].reshape(-1, kept[0].shape[-1])
