"""Edits of scores, weights and values, against an attention written by hand in the model's own eager function."""

import pytest
import torch
from torch import Tensor

from attention_core.capturing.capture import prepare
from attention_core.experiment.edits import Break, CutLink, Edit, ExperimentError, Patch, ZeroValue
from attention_core.experiment.running import Runs
from tests.core.experiment.by_hand import (
    FAMILIES,
    OTHER,
    inputs_of,
    last_vectors,
    output_projections,
    pre_hook,
    texts_of,
)
from tests.support.tiny import SENTENCE, family


def by_rule(edit: Edit, weights: Tensor, scores: Tensor, other: Tensor) -> Tensor:
    """The weights [query, key] that an edit asks for, of the model's own and of the scores before the softmax."""
    rows = torch.arange(len(weights))
    made = weights.clone()
    if isinstance(edit, CutLink):
        made[edit.query, list(edit.keys)] = 0
        if edit.how == "score":
            kept = scores[edit.query].clone()
            kept[list(edit.keys)] = -torch.inf
            total = weights[edit.query].sum()
            odds = torch.log1p(-total) - torch.log(total)  # of a learned sink, whose logit is one more of the row
            sink = (torch.logsumexp(scores[edit.query], 0) + odds)[None]
            parts = torch.cat([kept, sink]) if total < 1 - 1e-4 else kept
            made[edit.query] = torch.softmax(parts, 0)[: len(kept)]
    elif isinstance(edit, Break):
        if edit.rule == "uniform":
            made = (scores > -torch.inf).float()
            made = made / made.sum(-1, keepdim=True)
        elif edit.rule == "hard max":
            made = torch.zeros_like(weights)
            made[rows, scores.argmax(-1)] = 1
        elif edit.rule == "itself":
            made = torch.eye(len(weights))
        elif edit.rule == "previous":
            made = torch.zeros_like(weights)
            made[rows, (rows - 1).clamp_min(0)] = 1
        elif edit.rule == "other head":
            made = other
    return made


@pytest.mark.parametrize("name", FAMILIES)
def test_every_layer_is_what_edited_weights_times_the_values_make_of_it(name: str):
    """By hand: the edited weights times v, put into the head's slot by a hook before W_O."""
    model = family(name)
    runs = Runs(prepare(model, SENTENCE, **texts_of(model)))
    inputs = inputs_of(model)
    for layer, module in enumerate(output_projections(name, model.model)):
        one = runs.record.exact(layer)
        query = one.n_query - 1
        edits: list[Edit] = [
            CutLink(layer, 1, query, (query - 1,)),  # a window may hide the first keys
            CutLink(layer, 1, query, (query, query - 2), "weight"),
            Break(layer, 1, "uniform"),
            Break(layer, 1, "hard max"),
            Break(layer, 1, "other head", other=0),
        ]
        if one.n_query == one.n_key:
            edits += [Break(layer, 1, "itself"), Break(layer, 1, "previous")]
        edits.append(ZeroValue(layer, 1, 1))
        found = runs.run([(), *((edit,) for edit in edits)]).hidden
        assert found is not None
        steps = one.steps(1)
        width = one.v.shape[2]
        for row, edit in zip(found[1:], edits, strict=True):
            weights = by_rule(edit, steps.weights, steps.masked_scores, one.weights(0))
            if isinstance(edit, ZeroValue):
                weights[:, edit.key] = 0  # the same as that key's column of weights set to 0 for all queries
            z = weights @ one.v[one.kv_head(1)].float()

            def change(x: Tensor, z: Tensor = z, width: int = width) -> Tensor:
                changed = x.clone()
                changed[..., width : 2 * width] = z
                return changed

            with pre_hook(module, change):
                torch.testing.assert_close(row, last_vectors(model, inputs), atol=2e-5, rtol=1e-5, msg=f"{edit}")


def test_value_zeroing_equals_its_column_of_weights_set_to_zero_at_the_block():
    runs = Runs(prepare(family("llama"), SENTENCE))
    for layer in (0, 1):
        column = CutLink(layer, 4, None, (1,), "weight")  # leaves alone no row: key 0 is there for every query
        found = runs.block_output([(), (ZeroValue(layer, 4, 1),), (column,)], layer)
        assert float((found[1] - found[2]).abs().max()) <= 1e-6 and float((found[1] - found[0]).abs().max()) > 1e-4


def test_softmax_repairs_what_a_score_cut_takes_and_not_what_a_weight_cut_takes():
    from attention_core import capture

    model, kinds = family("bert"), ("score", "weight")
    cut = [capture(model, SENTENCE, edits=CutLink(0, 1, 2, (3,), kind)).weights(0, 1)[2] for kind in kinds]  # type: ignore[arg-type]
    own = capture(model, SENTENCE).weights(0, 1)[2]
    assert float(cut[0][3]) == float(cut[1][3]) == 0
    torch.testing.assert_close(cut[0].sum(), torch.tensor(1.0))
    torch.testing.assert_close(cut[1].sum(), 1 - own[3])


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (CutLink(0, 1, 0, (0,)), "Query 0 reads nothing but key 0"),
        (CutLink(0, 1, 2, (5,)), "There is no link to cut: query 2 may not read key 5"),
        (CutLink(0, 1, 99, (0,)), "query must be 0 … 11; got 99"),
        (Patch(0, 1, "pattern", "the cat"), "Nothing is trimmed"),
    ],
)
def test_what_cannot_be_cut_is_refused_in_a_sentence(edit: Edit, says: str):
    with pytest.raises(ExperimentError, match=says):
        Runs(prepare(family("gpt2"), SENTENCE)).run([(), (edit,)])


def test_rows_that_read_nothing_else_are_left_alone_and_said():
    runs = Runs(prepare(family("gpt2"), SENTENCE))
    runs.run([(), (CutLink(0, 1, None, (0,)),)])
    assert "Queries left alone, because they read nothing else: 0." in runs.compiler.said


def test_a_patched_key_belongs_to_all_heads_that_share_it_and_to_this_call_alone():
    model = family("llama")
    runs = Runs(prepare(model, SENTENCE))
    runs.run([(), (Patch(0, 1, "k", OTHER),)])
    assert any("heads 0 to 2 share this k" in said for said in runs.compiler.said)


@pytest.mark.parametrize("name", ["gpt2", "bert", "llama"])
def test_patching_everything_of_a_block_s_stream_makes_it_the_other_run(name: str):
    model = family(name)
    runs = Runs(prepare(model, SENTENCE))
    found = runs.run([(), (Patch(1, None, "residual", OTHER),)]).hidden
    assert found is not None
    torch.testing.assert_close(found[1], last_vectors(model, inputs_of(model, OTHER)), atol=1e-5, rtol=1e-5)
