"""One head and one query in real numbers: every step closes, and a fault turns the right step red."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from attention_core import capture, load_model
from attention_core.formats import wire
from attention_core.formula.masks import CAUSAL, EVERYTHING
from attention_core.ledger.matrices import matrices_of
from attention_core.ledger.matrix import extremes
from attention_core.ledger.packs import ledger_pack, matrix_pack, products_pack, rows_pack
from attention_core.ledger.records import Ledger
from attention_core.ledger.scaling import scale_words
from attention_core.ledger.steps import ledger
from attention_core.pictures.head import head_pack
from attention_core.reading.reading import Reading
from attention_core.record.layers import LayerTrace
from attention_core.record.projections import Found
from attention_core.trace import Trace
from tests.support import tiny
from tests.support.plain_numbers import without_bias

# Every family with q and k to show; the layers, heads and queries of each are walked through.
EXACT = [name for name in tiny.FAMILIES if name not in ("bloom", "falcon", "mpt")]
TARGETS = {"t5", "bart", "mbart"}


@cache
def traced(name: str) -> Trace:
    return capture(tiny.family(name), tiny.SENTENCE, target="a dog ran" if name in TARGETS else None)


@pytest.fixture(scope="module")
def minilm() -> Trace:
    return capture(load_model("minilm"), "The animal didn't cross the street because it was too tired.")


def with_layer(trace: Trace, layer: int, **changes) -> Trace:
    """The trace with something wrong in one layer."""
    layers = list(trace.layers)
    layers[layer] = replace(trace.exact(layer), **changes)
    return replace(trace, layers=tuple(layers))


def with_projections(trace: Trace, layer: int, **changes) -> Trace:
    projections = trace.exact(layer).projections
    assert projections is not None
    return with_layer(trace, layer, found=Found(replace(projections, **changes)))


def red(found: Ledger) -> dict[str, list[str]]:
    """Steps that do not close, with the checks that fail."""
    return {step.name: [check.name for check in step.checks if not check.holds] for step in found if not step.holds}


def places(trace: Trace):
    for index, layer in enumerate(trace.layers):
        for head in range(layer.n_heads):
            yield index, head, (index + 2 * head) % layer.n_query


def test_a_case_worked_by_hand():
    """d_head = 1: the query 1 scores the keys 0 and ln 3. softmax = [1/4, 3/4]; values 0 and 8 give 6."""
    real = traced("bert")
    one = LayerTrace(
        kind="encoder self",
        index=0,
        q=torch.ones(1, 2, 1),
        k=torch.tensor([[[0.0], [float(np.log(3))]]]),
        v=torch.tensor([[[0.0], [8.0]]]),
        output=torch.tensor([[[6.0], [6.0]]]),
        scale=1.0,
        mask=EVERYTHING,
    )
    trace = replace(real, source_tokens=real.source_tokens[:2], layers=(one,))
    found = ledger(trace, 0, 0, 1)
    tensors = {name: tensor for step in found for name, tensor in step.tensors.items()}
    torch.testing.assert_close(tensors["exps"], torch.tensor([1 / 3, 1.0]))
    torch.testing.assert_close(tensors["exp_sum"], torch.tensor(4 / 3))
    torch.testing.assert_close(tensors["weights"], torch.tensor([0.25, 0.75]))
    torch.testing.assert_close(tensors["contribution"], torch.tensor([0.0, 6.0]))
    assert found.step("output").holds and found.holds
    assert not found.step("x").available and "not observed" in str(found)


@pytest.mark.parametrize("name", EXACT)
def test_every_step_closes_for_every_layer_and_head(name):
    trace = traced(name)
    for layer, head, query in places(trace):
        found = ledger(trace, layer, head, query)
        assert found.holds, f"layer {layer} head {head}: {found.verdict}"
        hidden = [step.name for step in found if not step.available]
        assert hidden in ([], ["residual"]), f"layer {layer}: {found.verdict}"
        assert {"weights", "mask", "output", "q", "k", "v", "W_O"} <= {check.name for check in found.checks}


@pytest.mark.parametrize("name", EXACT)
def test_the_code_of_every_step_runs_as_it_stands_and_gives_the_shown_tensor(name):
    trace = traced(name)
    for layer in range(len(trace.layers)):
        for step in filter(lambda step: step.available, ledger(trace, layer, 1, 2)):
            assert step.code.count("\n") < 6, step.code
            names = {"trace": trace}
            exec(step.code, names)  # noqa: S102
            torch.testing.assert_close(names[step.result], step.tensors[step.result], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", EXACT)
def test_every_tensor_is_made_by_one_step_and_is_explained(name):
    found = ledger(traced(name), 0, 0, 1)
    for step in found:
        assert step.why_not or (step.formula and step.says and step.makes)
        for tensor in step.tensors:
            maker = found.maker(tensor)
            assert maker is not None and found.steps.index(maker) <= found.steps.index(step)


def names(trace: Trace, layer: int = 0) -> list[str]:
    return [step.name for step in ledger(trace, layer, 1, 2)]


def test_only_the_steps_that_the_architecture_has():
    plain = ["x", "qkv", "scores", "scale", "mask", "softmax", "output", "joined", "residual"]
    assert names(traced("bert")) == plain
    assert names(traced("llama")) == [
        *plain[:2],
        "rotary",
        "shared",
        *plain[2:],
    ]


@pytest.mark.parametrize(
    ("name", "step", "tensor", "title"),
    [
        ("gemma2", "mask", "capped", "Soft-cap and mask"),
        ("t5", "mask", "bias", "Bias and mask"),
        ("gpt-oss", "softmax", "sink_weight", "Softmax"),
    ],
)
def test_what_an_architecture_adds_has_its_tensor(name, step, tensor, title):
    found = ledger(traced(name), 0, 1, 2).step(step)
    assert tensor in found.makes and found.title == title


def test_with_a_sink_the_weights_and_its_share_sum_to_one():
    step = ledger(traced("gpt-oss"), 0, 1, 2).step("softmax")
    assert float(step.tensors["weight_sum"] + step.tensors["sink_weight"]) == pytest.approx(1, abs=1e-6)
    assert float(step.tensors["weight_sum"]) < 0.9999


def test_rotation_keeps_the_length_of_every_pair():
    step = ledger(traced("llama"), 0, 1, 2).step("rotary")
    before, after = step.tensors["q_projected"], step.tensors["q"]
    for pairs, vector in (("pairs_read", before), ("pairs_written", after)):
        lengths = vector[step.tensors[pairs]].norm(dim=-1)
        torch.testing.assert_close(lengths, before[step.tensors["pairs_read"]].norm(dim=-1))


def test_the_shares_of_all_heads_sum_to_one(minilm):
    step = ledger(minilm, 3, 1, 10).step("joined")
    assert float(step.tensors["head_shares"].sum() + step.tensors["bias_share"]) == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(step.tensors["joined"][step.tensors["slot"].long()], step.tensors["output"])


def test_what_is_added_to_the_residual_stream_is_what_the_layer_wrote(minilm):
    """In BERT the sum is normed and the normed vector goes on: it is what the next layer's norm-free maps came from."""
    step = ledger(minilm, 3, 1, 10).step("residual")
    tensors = step.tensors
    torch.testing.assert_close(tensors["resid_pre"] + tensors["added"], tensors["resid_mid"])
    torch.testing.assert_close(tensors["added"], tensors["written"])
    torch.testing.assert_close(tensors["resid_pre"], ledger(minilm, 3, 1, 10).step("x").tensors["x"])
    norm, total = minilm_norm(minilm, 3), tensors["resid_mid"].clone()
    torch.testing.assert_close(tensors["resid_normed"], norm(total).detach(), atol=1e-5, rtol=1e-5)


def minilm_norm(trace: Trace, layer: int) -> torch.nn.Module:
    return load_model("minilm").model.get_submodule(f"encoder.layer.{layer}.attention.output.LayerNorm")


def test_cross_attention_reads_the_encoder():
    trace = traced("bart")
    layer = next(i for i, one in enumerate(trace.layers) if one.kind == "cross")
    tensors = ledger(trace, layer, 0, 1).step("x").tensors
    assert tensors["x_keys"].shape[0] == len(trace.source_tokens)
    assert ledger(trace, layer, 0, 1).holds


# --- deliberate faults


@pytest.mark.parametrize("which", ["q", "k", "v"])
def test_a_dropped_bias_turns_that_projection_red(minilm, which):
    projection = getattr(minilm.exact(3).projections, which)
    found = ledger(with_projections(minilm, 3, **{which: without_bias(projection)}), 3, 1, 10)
    assert red(found) == {"qkv": [which]}
    (fault,) = found.faults
    assert fault.check == which and abs(fault.ours - fault.models) > 1e-3
    assert f"{which} differs by" in found.verdict and "in the model" in found.verdict


@pytest.mark.parametrize(
    ("changes", "checks"),
    [({"scale": 0.25}, ["weights"]), ({"mask": CAUSAL}, ["mask", "weights"]), ({"softcap": 2.0}, ["weights"])],
)
def test_a_wrong_scale_mask_or_cap_turns_the_weights_red(minilm, changes, checks):
    found = ledger(with_layer(minilm, 3, **changes), 3, 1, 10)
    failed = [check.name for check in found.checks if not check.holds]
    assert [name for name in failed if name != "output"] == checks
    assert not found.step("softmax").holds
    weights = next(fault for fault in found.faults if fault.check == "weights")
    assert 0 <= weights.models <= 1 and weights.ours != weights.models


def test_a_wrong_bias_turns_the_weights_red():
    trace = traced("t5")
    bias = trace.exact(0).bias
    assert bias is not None
    found = ledger(with_layer(trace, 0, bias=bias + torch.eye(bias.shape[-1])), 0, 1, 2)
    assert not found.step("softmax").holds


def test_a_shifted_slot_turns_w_o_red(minilm):
    projections = minilm.exact(3).projections
    assert projections is not None and projections.o is not None
    shifted = replace(projections.o, slots=projections.o.slots.roll(1, dims=0))
    found = ledger(with_projections(minilm, 3, o=shifted), 3, 1, 10)
    assert red(found) == {"joined": ["W_O"]}
    assert found.faults[0].check == "W_O"


def test_a_changed_value_turns_the_output_red(minilm):
    v = minilm.exact(3).v.clone()
    v[1, 2] += 0.1
    found = ledger(with_layer(minilm, 3, v=v), 3, 1, 10)
    assert red(found) == {"qkv": ["v"], "output": ["output"]}  # v no longer comes from x either
    fault = next(fault for fault in found.faults if fault.check == "output")
    assert fault.where.startswith("query 10")


def test_a_fault_in_another_row_is_found_there(minilm):
    output = minilm.exact(3).output.clone()
    output[1, 4, 7] += 1
    found = ledger(with_layer(minilm, 3, output=output), 3, 1, 10)
    fault = next(fault for fault in found.faults if fault.check == "output")
    assert fault.where == "query 4, component 7"
    assert fault.models - fault.ours == pytest.approx(1, abs=1e-4)


def test_a_value_that_is_not_a_number_is_said_to_be_none_in_words_and_on_the_way_to_the_browser(minilm):
    output = minilm.exact(3).output.clone()
    output[1, 4, 7] = torch.nan
    trace = with_layer(minilm, 3, output=output, found=None)
    found = ledger(trace, 3, 1, 10)
    assert math.isnan(found.worst)
    assert found.verdict.startswith("output is not a number: ")
    assert "nan in the model (query 4, component 7)" in found.verdict
    assert "✗ output: not a number (tolerance" in str(found)
    header, _ = wire.unpack(ledger_pack(trace, 3, 1, 10))
    assert header["worst"] is None and header["verdict"] == found.verdict
    proof = wire.unpack(head_pack(trace, Reading(), 3, 1))[0]["proof"]
    assert proof["worst"] is None and not proof["holds"]
    assert [check["difference"] for check in proof["checks"] if not check["holds"]] == [None]


# --- what could not be observed


def test_without_projections_the_step_says_so_and_the_rest_closes(minilm):
    found = ledger(with_layer(minilm, 3, found=None), 3, 1, 10)
    assert [step.name for step in found if not step.available] == ["x", "joined"]
    assert found.holds and "could not be observed: input, all heads joined" in found.verdict


def test_an_architecture_that_hides_q_and_k_shows_its_weights():
    trace = traced("bloom") if "bloom" in tiny.FAMILIES else traced("falcon")
    if trace.layers[0].exact:
        pytest.skip("this architecture is exact here")
    found = ledger(trace, 0, 1, 5)
    assert [step.name for step in found if step.available] == ["softmax"]
    torch.testing.assert_close(found.step("softmax").tensors["weights"], trace.weights(0, 1)[5])
    assert "hides its queries and keys" in found.step("scores").why_not
    ledger_pack(trace, 0, 1, 5)


@pytest.mark.parametrize(
    ("place", "sentence"),
    [((9, 0, 0), "layer must be 0 … 5; got 9"), ((0, 12, 0), "head must be"), ((0, 0, 99), "query must be 0 … 15")],
)
def test_what_does_not_exist_is_named(minilm, place, sentence):
    with pytest.raises(ValueError, match=sentence):
        ledger(minilm, *place)


def test_a_notebook_shows_steps_numbers_and_checks(minilm):
    found = minilm.ledger(layer=3, head=1, query=10)
    text = str(found)
    assert "query 10 “it”" in text and "✓ weights" in text and "a_j = e_j / Z" in text
    assert found._repr_html_().startswith("<pre>")
    tokens = tuple(replace(token, text="<b>") for token in minilm.source_tokens)
    assert "<b>" not in ledger(replace(minilm, source_tokens=tokens), 3, 1, 10)._repr_html_()


# --- on the way to the browser


def test_the_pack_holds_the_ledgers_tensors_by_name(minilm):
    header, arrays = wire.unpack(ledger_pack(minilm, 3, 1, 10))
    for step in ledger(minilm, 3, 1, 10):
        for name, tensor in step.tensors.items():
            np.testing.assert_allclose(arrays[name].reshape(tensor.shape), tensor.numpy(), rtol=1e-6)
            assert header["made_by"][name] in [one["name"] for one in header["steps"]]
    weights = minilm.weights(3, 1)[10]
    assert arrays["order"].tolist() == weights.argsort(descending=True).tolist()
    assert arrays["rest"][0] == pytest.approx(1, abs=1e-6) and arrays["rest"][-1] == 0
    assert arrays["rest"][1] == pytest.approx(1 - float(weights.max()), abs=1e-6)


@pytest.mark.parametrize("name", ["q", "k", "v", "scores", "output", "written", "head_write"])
def test_products_add_up_to_the_number(minilm, name):
    header, arrays = wire.unpack(products_pack(minilm, 3, 1, 10, name, 5, 0 if name == "scores" else 3))
    tensors = {key: tensor for step in ledger(minilm, 3, 1, 10) for key, tensor in step.tensors.items()}
    at = {"scores": (5,), "k": (5, 3), "v": (5, 3)}.get(name, (3,))
    total = header["factor"] * (arrays["products"].astype(np.float64).sum() + (header["bias"] or 0))
    assert total == pytest.approx(float(tensors[name][at]), abs=2e-5)
    assert header["total"] == pytest.approx(float(tensors[name][at]), abs=2e-5)
    first = arrays["order"][:3]
    assert arrays["rest"][3] == pytest.approx(arrays["products"].sum() - arrays["products"][first].sum(), abs=1e-5)
    assert np.all(np.diff(np.abs(arrays["products"][arrays["order"]])) <= 0)


@pytest.mark.parametrize("family", ["gpt2", "llama", "bart", "gemma2"])
def test_products_of_fused_grouped_and_scaled_projections(family):
    trace = traced(family)
    for layer in range(len(trace.layers)):
        found = ledger(trace, layer, 1, 2)
        for name in found.step("qkv").makes:
            header, arrays = wire.unpack(products_pack(trace, layer, 1, 2, name, 1, 2))
            made = found.step("qkv").tensors[name]
            shown = made[2] if made.dim() == 1 else made[1, 2]
            total = header["factor"] * (arrays["products"].astype(np.float64).sum() + (header["bias"] or 0))
            assert total == pytest.approx(float(shown), abs=2e-5)


def test_a_number_that_is_not_a_sum_of_products_is_refused(minilm):
    with pytest.raises(ValueError, match="not a sum of products"):
        products_pack(minilm, 3, 1, 10, "exps", 0, 0)
    with pytest.raises(ValueError, match="no component 99"):
        products_pack(minilm, 3, 1, 10, "q", 0, 99)
    with pytest.raises(ValueError, match="no row 99"):
        products_pack(minilm, 3, 1, 10, "k", 99, 0)


@pytest.mark.parametrize(
    ("step", "which"),
    [("qkv", "q"), ("qkv", "k"), ("qkv", "v"), ("scores", ""), ("output", ""), ("joined", ""), ("residual", "")],
)
def test_left_times_right_is_the_matrix_shown(minilm, step, which):
    left, right, product = (matrix.values for matrix in matrices_of(minilm, 0, 1, step, which))
    if step in ("qkv", "joined", "residual"):  # pictures of 384 channels are blocks of 3
        assert product.shape[0] == left.shape[0] == 16 and left.shape[1] == 128
    else:
        torch.testing.assert_close(left @ right, product, atol=1e-4, rtol=1e-4)


def test_masked_cells_of_a_matrix_are_not_numbers():
    before, after = matrices_of(traced("gpt2"), 0, 1, "mask")
    assert torch.isfinite(before.values).all()
    assert torch.equal(torch.isnan(after.values), torch.ones(12, 12).triu(1).bool())


def test_a_block_shows_its_value_of_largest_magnitude():
    values = torch.tensor([[1.0, -3.0, float("nan")], [2.0, 0.5, float("nan")]])
    small = extremes(values, side=2)
    assert small[0].tolist()[:1] == [-3.0] and small.shape == (2, 2)
    assert torch.isnan(small[:, 1]).all()


def test_a_step_without_a_picture_for_all_tokens_says_so(minilm):
    with pytest.raises(ValueError, match="no picture of"):
        matrix_pack(minilm, 3, 1, 10, "rotary", "q")


@pytest.mark.slow
def test_long_texts_in_wide_models_stay_under_a_megabyte():
    """512 tokens, d_model 4,096: exact rows of the keys that matter, the others on demand."""
    from attention_core.models.loading import wrap_model

    model = wrap_model(
        tiny.random_model(
            "BertModel",
            hidden_size=4096,
            num_attention_heads=32,
            num_hidden_layers=1,
            intermediate_size=16,
            max_position_embeddings=512,
        ),
        tiny.tokenizer(limit=512),
        name="wide",
    )
    trace = capture(model, " ".join(tiny.WORDS[5:] * 40))
    assert len(trace.source_tokens) == 512
    pack = ledger_pack(trace, 0, 7, 100)
    assert len(pack) <= 1_000_000
    header, arrays = wire.unpack(pack)
    assert set(header["rows"]) >= {"x_keys", "k", "v"}
    rows = header["rows"]["k"]
    step = ledger(trace, 0, 7, 100).step("qkv")
    np.testing.assert_allclose(arrays["k"], step.tensors["k"][rows].numpy())
    assert arrays["order"][0] in rows
    _, more = wire.unpack(rows_pack(trace, 0, 7, 100, "x_keys", 62))
    assert header["blocks"] == {"x_keys": 31, "k": 1000, "v": 1000, "weighted_values": 1000}
    np.testing.assert_array_equal(more["x_keys"], ledger(trace, 0, 7, 100).step("x").tensors["x_keys"][62:93].numpy())
    for what in ("scores", "qkv", "joined"):
        assert len(matrix_pack(trace, 0, 7, 100, what, "k" if what == "qkv" else "")) <= 1_000_000
    with pytest.raises(ValueError, match="no row 512"):
        rows_pack(trace, 0, 7, 100, "k", 512)


def test_the_glossary_explains_every_symbol_of_every_formula():
    import json
    from pathlib import Path

    entries = json.loads((Path(__file__).parents[3] / "assets/lessons/glossary.json").read_text(encoding="utf-8"))
    known = {entry["id"] for entry in entries} | {symbol for entry in entries for symbol in entry["symbols"]}
    for name in EXACT:
        for step in ledger(traced(name), 0, 1, 2):
            assert set(step.symbols) <= known, f"{step.name}: {set(step.symbols) - known}"
    assert all(entry["says"].endswith(".") and "\n" not in entry["says"] for entry in entries)


@pytest.mark.parametrize(
    ("scale", "words"), [(1e-200, "1e-200"), (5e-324, "4.94066e-324"), (0.0, "0"), (0.25, "1/√16 = 0.2500")]
)
def test_a_factor_whose_square_is_no_number_is_said_all_the_same(scale, words):
    """A file may state it: 1e-200 is not 0, and its square is."""
    assert scale_words(replace(traced("bert").layers[0], scale=scale)) == words
