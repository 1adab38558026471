"""A head switched off, strengthened or patched at the slot that W_O reads, against hooks written by hand."""

import pytest
import torch
from torch import Tensor

from attention_core.capturing.capture import prepare
from attention_core.experiment.edits import Edit, ExperimentError, Patch, Strengthen, SwitchOff
from attention_core.experiment.running import Outcome, Runs
from tests.core.experiment.by_hand import (
    FAMILIES,
    OTHER,
    inputs_of,
    last_vectors,
    model_of,
    output_projections,
    pre_hook,
    texts_of,
)
from tests.support.tiny import SENTENCE, family


def runs_of(name: str) -> Runs:
    model = model_of(name)
    return Runs(prepare(model, SENTENCE, **texts_of(model)))


def run(runs: Runs, *edits: Edit) -> Outcome:
    return runs.run([(), edits])


def read_by_hand(runs: Runs, module: torch.nn.Module, text: str) -> Tensor:
    """What W_O reads in an unedited run, [token, channel]."""
    seen: list[Tensor] = []

    def keep(x: Tensor) -> Tensor:
        seen.append(x.reshape(-1, x.shape[-1]).clone())
        return x

    with pre_hook(module, keep):
        last_vectors(runs.model, inputs_of(runs.model, text))
    return seen[0]


def edits_and_values(layer: int, head: int, own: Tensor, other: Tensor, slot: slice) -> list[tuple[Edit, Tensor]]:
    """Edits of a head, and what its slot must then hold."""
    own, n = own[:, slot], len(own)
    other = other[:, slot]
    same = len(other) == n
    return [
        (SwitchOff(layer, head, "zero"), torch.zeros_like(own)),
        (SwitchOff(layer, head), own.mean(0).expand(n, -1)),
        (SwitchOff(layer, head, "mean", (OTHER, SENTENCE)), torch.cat([other, own]).mean(0).expand(n, -1)),
        (SwitchOff(layer, head, texts=(OTHER,)), other if same else own),
        (Patch(layer, head, "z", OTHER, ((1, 3), (5, 0))), own.index_copy(0, torch.tensor([1, 5]), other[[3, 0]])),
        (Strengthen(layer, head, -1.5), -1.5 * own),
    ]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_head_of_every_layer_is_what_a_hook_before_w_o_makes_of_it(name: str):
    runs = runs_of(name)
    inputs = inputs_of(runs.model)
    modules = output_projections(name, runs.model.model)
    plain = last_vectors(runs.model, inputs)
    assert len(modules) == len(runs.sites.layers)
    for layer, module in enumerate(modules):
        own, other = (read_by_hand(runs, module, text) for text in (SENTENCE, OTHER))
        n_heads = runs.sites.layers[layer].n_heads
        width = own.shape[1] // n_heads
        for head in range(n_heads):
            slot = slice(head * width, (head + 1) * width)
            wanted = edits_and_values(layer, head, own, other, slot)
            found = runs.run([(), *((edit,) for edit, _ in wanted)]).hidden
            assert found is not None
            torch.testing.assert_close(found[0], plain, atol=1e-5, rtol=1e-5)
            for row, (edit, values) in zip(found[1:], wanted, strict=True):

                def change(x: Tensor, values: Tensor = values, slot: slice = slot) -> Tensor:
                    changed = x.clone()
                    changed[..., slot] = values.reshape(*x.shape[:-1], -1)
                    return changed

                with pre_hook(module, change):
                    torch.testing.assert_close(
                        row, last_vectors(runs.model, inputs), atol=1e-5, rtol=1e-5, msg=str(edit)
                    )
            assert float((found[1] - plain).abs().max()) > 1e-3, (layer, head)


def test_a_slice_zeroed_after_w_o_is_another_thing():
    """What three public tools do: the slice of W_O's *output* with the head's number belongs to no head."""
    runs = runs_of("gpt2")
    module = output_projections("gpt2", runs.model.model)[0]
    width = module.weight.shape[0] // 3

    def zero_after(_: torch.nn.Module, __: object, output: Tensor) -> Tensor:
        changed = output.clone()
        changed[..., :width] = 0
        return changed

    handle = module.register_forward_hook(zero_after)
    wrong = last_vectors(runs.model, inputs_of(runs.model))
    handle.remove()
    found = run(runs, SwitchOff(0, 0, "zero")).hidden
    assert found is not None and float((found[1] - wrong).abs().max()) > 0.1


def test_mean_says_over_what():
    assert "this text's positions" in SwitchOff(0, 1, "mean").words
    assert "2 texts" in SwitchOff(0, 1, "mean", (SENTENCE, OTHER)).words


def test_the_default_is_resample_with_a_second_text_and_mean_without():
    assert SwitchOff(0, 1).fill == "mean"
    assert SwitchOff(0, 1, texts=(OTHER,)).fill == "resample"
    assert SwitchOff(0, 1, texts=(OTHER, SENTENCE)).fill == "mean"
    assert "far from what the model knows" in SwitchOff(0, 1, "zero").words


def test_a_pair_is_never_trimmed_to_the_shorter_text():
    with pytest.raises(ExperimentError, match=r"12 tokens.*has 5.*Nothing is trimmed"):
        run(runs_of("bert"), SwitchOff(0, 1, texts=("the cat sat",)))


def test_an_empty_edit_changes_nothing_at_all():
    for name in FAMILIES:
        found = runs_of(name).run([(), (), (SwitchOff(0, 1, "zero"),)]).hidden
        assert found is not None and torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (SwitchOff(2, 0), "layer must be 0 … 1; got 2"),
        (SwitchOff(0, 3), "layer 0 has heads 0 … 2; got 3"),
        (Patch(0, 1, "z", OTHER, ((12, 0),)), "positions must be 0 … 11; got 12"),
    ],
)
def test_what_does_not_exist_is_named(edit: Edit, says: str):
    with pytest.raises(ExperimentError, match=says):
        run(runs_of("bert"), edit)


def test_of_a_model_that_hides_its_attention_only_words_can_be_changed():
    runs = Runs(prepare(family("bloom"), SENTENCE))
    with pytest.raises(ExperimentError, match="Only words can be replaced"):
        run(runs, SwitchOff(0, 1))
