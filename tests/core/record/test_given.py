"""Attention that was made elsewhere: five forms, every fault with its sentence, and what is said of what is unknown."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from attention_core import Token, trace_from_attention
from attention_core.formats import wire
from attention_core.heads.scores import head_scores
from attention_core.pictures.files import csv, npz, svg
from attention_core.pictures.head import head_pack
from attention_core.pictures.overview import overview
from attention_core.reading.reading import Reading
from attention_core.reading.readout import Unsaid
from attention_core.record.apart import put_together, take_apart
from tests.support import tiny

IDS = [2, 5, 6, 7, 8, 3]  # [CLS] the cat sat on [SEP]
TARGET_IDS = [2, 5, 12]
PIECES = [tiny.WORDS[i] for i in IDS]
TARGET_PIECES = [tiny.WORDS[i] for i in TARGET_IDS]
N_HEADS = 3


def recorded(name: str):
    """What a model of this family returns when it is asked for its attentions, as people record it."""
    model = tiny.bare(name)
    model.set_attn_implementation("eager")
    more = {"decoder_input_ids": torch.tensor([TARGET_IDS])} if name == "bart" else {}
    with torch.no_grad():
        return model(torch.tensor([IDS]), output_attentions=True, **more)


@pytest.fixture(scope="module")
def outputs():
    return {name: recorded(name) for name in ("gpt2", "bert", "bart")}


def same_bits(trace, stacks) -> bool:
    """Every number of the trace is one of these layers', bit for bit, in the precision in which it came."""
    given = [torch.as_tensor(layer)[0] for stack in stacks for layer in stack]
    assert len(trace.layers) == len(given)
    return all(
        layer.given.dtype == expected.dtype
        and torch.equal(layer.given, expected)
        and all(torch.equal(trace.weights(i, head), expected[head].float()) for head in range(N_HEADS))
        for i, (layer, expected) in enumerate(zip(trace.layers, given, strict=True))
    )


# --- forms ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gpt2", "bert"])
def test_an_output_a_tuple_and_one_array_are_the_same_to_the_bit(outputs, name):
    layers = outputs[name].attentions
    as_array = torch.cat(layers)  # [layer, head, query, key]: each layer has a batch of one
    forms = [outputs[name], layers, list(layers), [layer[0] for layer in layers], as_array, as_array.numpy()]
    forms += [{"attentions": layers}, SimpleNamespace(last_hidden_state=None, attentions=layers, values=layers)]
    for form in forms:
        trace = trace_from_attention(form, PIECES)
        assert same_bits(trace, [layers])
        assert {layer.kind for layer in trace.layers} == {"decoder self" if name == "gpt2" else "encoder self"}
        assert [token.text for token in trace.tokens] == PIECES
        assert [token.special for token in trace.tokens] == [True, False, False, False, False, True]


def test_an_encoder_decoder_comes_as_its_output_or_as_three_stacks(outputs):
    found = outputs["bart"]
    stacks = {
        "encoder_attention": found.encoder_attentions,
        "decoder_attention": found.decoder_attentions,
        "cross_attention": found.cross_attentions,
    }
    tokens = {"encoder_tokens": PIECES, "decoder_tokens": TARGET_PIECES}
    arrays = {name: torch.cat(layers).numpy() for name, layers in stacks.items()}
    for trace in (
        trace_from_attention(found, **tokens),
        trace_from_attention(**stacks, **tokens),
        trace_from_attention(**arrays, **tokens),
    ):
        assert same_bits(trace, stacks.values())
        kinds = [(layer.kind, layer.index) for layer in trace.layers]
        assert kinds == [("encoder self", 0), ("encoder self", 1), ("decoder self", 0), ("cross", 0)]
        assert len(trace.query_tokens(3)) == len(TARGET_IDS) and len(trace.key_tokens(3)) == len(IDS)
        assert trace.target == "the ran"[:3] + " " + TARGET_PIECES[-1]


def test_part_of_an_encoder_decoder_needs_only_its_own_tokens(outputs):
    found = outputs["bart"]
    encoder = trace_from_attention(encoder_attention=found.encoder_attentions, encoder_tokens=PIECES)
    decoder = trace_from_attention(decoder_attention=found.decoder_attentions, decoder_tokens=TARGET_PIECES)
    assert same_bits(encoder, [found.encoder_attentions]) and not encoder.target_tokens
    assert same_bits(decoder, [found.decoder_attentions])
    assert [token.text for token in decoder.query_tokens(0)] == TARGET_PIECES


def test_a_decoder_with_cross_attention_by_itself_shows_its_own_and_says_what_it_left_out(outputs):
    found = outputs["bart"]
    output = SimpleNamespace(attentions=found.decoder_attentions, cross_attentions=found.cross_attentions)
    trace = trace_from_attention(output, TARGET_PIECES)
    assert same_bits(trace, [found.decoder_attentions])
    assert any("cross-attention" in note for note in trace.notes)
    both = trace_from_attention(output, encoder_tokens=PIECES, decoder_tokens=TARGET_PIECES)
    assert [layer.kind for layer in both.layers] == ["decoder self", "cross"]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
def test_numpy_in_any_precision_comes_back_to_the_bit(outputs, dtype):
    array = torch.cat(outputs["bert"].attentions).double().numpy().astype(dtype)
    trace = trace_from_attention(array, PIECES)
    for layer, expected in zip(trace.layers, array, strict=True):
        assert layer.given.numpy().dtype == np.dtype(dtype).newbyteorder("=")
        assert np.array_equal(layer.given.numpy(), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_torch_in_any_precision_comes_back_to_the_bit(outputs, dtype):
    layers = [layer.to(dtype).requires_grad_() for layer in outputs["bert"].attentions]
    assert same_bits(trace_from_attention(layers, PIECES), [[layer.detach() for layer in layers]])


def test_what_was_given_may_be_changed_afterwards(outputs):
    array = torch.cat(outputs["bert"].attentions).numpy().copy()
    before = array.copy()
    trace = trace_from_attention(array, PIECES)
    array[:] = 0
    assert np.array_equal(trace.layers[0].given.numpy(), before[0])


def test_one_text_of_a_batch_is_chosen():
    layers = [torch.rand(4, N_HEADS, 6, 6).softmax(dim=-1) for _ in range(2)]
    trace = trace_from_attention(layers, PIECES, batch=2)
    assert all(torch.equal(one.given, layer[2]) for one, layer in zip(trace.layers, layers, strict=True))


def test_layers_may_have_different_numbers_of_heads():
    layers = [torch.rand(n, 6, 6).softmax(dim=-1) for n in (2, 5)]
    assert [layer.n_heads for layer in trace_from_attention(layers, PIECES).layers] == [2, 5]


# --- tokens ---------------------------------------------------------------------------------------------------------


def test_pieces_are_shown_as_any_tokenizers_are_and_the_same_piece_is_the_same_token():
    pieces = ["<s>", "Ġthe", "Ġan", "imal", "Ġthe", "</s>"]
    trace = trace_from_attention(even(6), pieces)
    assert [token.text for token in trace.tokens] == ["<s>", "·the", "·an", "imal", "·the", "</s>"]
    assert [token.word for token in trace.tokens] == [None, 0, 1, 1, 2, None]
    assert trace.tokens[1].id == trace.tokens[4].id != trace.tokens[2].id
    assert trace.text == "the animal the"


def test_a_token_of_ones_own_stays_as_it_is():
    own = Token("[X]", 77, (0, 3), special=True, piece="[X]", word=None)
    assert trace_from_attention(even(2), [own, "cat"]).tokens[0] == own


# --- faults ---------------------------------------------------------------------------------------------------------


def even(n: int) -> torch.Tensor:
    return torch.full((1, 2, n, n), 1 / n)


def with_cell(value: float) -> torch.Tensor:
    weights = even(6)
    weights[0, 1, 2, 3] = value
    return weights


FAULTS = {
    "nothing": (lambda: trace_from_attention(None, PIECES), "There is no attention"),
    "no tokens": (lambda: trace_from_attention(even(6)), "comes without tokens"),
    "a text for tokens": (lambda: trace_from_attention(even(6), "the cat"), "a list of texts"),
    "ids for tokens": (lambda: trace_from_attention(even(6), IDS), r"tokens\[0\] must be a text; got int"),
    "half a character": (lambda: trace_from_attention(even(2), ["\ud800", "a"]), r"tokens\[0\] holds half a character"),
    "tokens of another number": (
        lambda: trace_from_attention(even(6), PIECES[:5]),
        "6 rows and 6 columns; there are 5",
    ),
    "only the last token's row": (
        lambda: trace_from_attention(even(6)[:, :, :1], PIECES),
        "1 rows and 6 columns.*With a cache",
    ),
    "a batch of four": (
        lambda: trace_from_attention([torch.cat([even(6)] * 4)], PIECES),
        "batch of 4 texts: say which one, batch=0 … batch=3",
    ),
    "a text that is not in the batch": (lambda: trace_from_attention([even(6)], PIECES, batch=1), "none of them"),
    "a single matrix": (lambda: trace_from_attention(even(6)[0, 0], PIECES), "one array of shape 6 × 6"),
    "two axes in a layer": (lambda: trace_from_attention([even(6)[0, 0]], PIECES), "layer 0 has the shape 6 × 6"),
    "no head": (lambda: trace_from_attention([even(6)[:, :0]], PIECES), "nothing in it"),
    "no layer": (lambda: trace_from_attention((), PIECES), "has no layer"),
    "a layer that is None": (lambda: trace_from_attention((even(6), None), PIECES), "layer 1 is empty.*eager"),
    "an output without attentions": (
        lambda: trace_from_attention(SimpleNamespace(attentions=None), PIECES),
        "holds no attentions.*output_attentions=True",
    ),
    "an output of fused attention": (
        lambda: trace_from_attention(SimpleNamespace(attentions=(None, None)), PIECES),
        "holds no attentions",
    ),
    "a generation's output": (lambda: trace_from_attention(((even(6),), (even(6),)), PIECES), "when a model generates"),
    "something else": (lambda: trace_from_attention(7, PIECES), "attention is a int"),
    "whole numbers": (lambda: trace_from_attention(torch.ones(1, 1, 6, 6).long(), PIECES), "holds int64"),
    "NaN": (lambda: trace_from_attention(with_cell(float("nan")), PIECES), "layer 0, head 1, query 2, key 3 is no num"),
    "an infinity": (lambda: trace_from_attention(with_cell(float("inf")), PIECES), "head 1, query 2, key 3 is no num"),
    "scores": (lambda: trace_from_attention(with_cell(-0.25), PIECES), "query 2, key 3 is -0.25: .*softmax first"),
    "a row that sums to more": (
        lambda: trace_from_attention(with_cell(0.5), PIECES),
        "query 2 sums to 1.33.*sums_to_on",
    ),
    "half precision in float32": (
        lambda: trace_from_attention((torch.rand(1, 2, 6, 6) * 3).softmax(-1).half().float() * 1.0002, PIECES),
        "half precision",
    ),
    "a number above 1": (
        lambda: trace_from_attention(with_cell(2.5), PIECES, sums_to_one=False),
        "is 2.5: .*Divide by the largest",
    ),
    "both forms": (
        lambda: trace_from_attention(even(6), PIECES, encoder_attention=even(6)),
        "not both",
    ),
    "one text for two stacks": (
        lambda: trace_from_attention(None, PIECES, encoder_attention=even(6)),
        "a text each",
    ),
    "cross-attention without a side": (
        lambda: trace_from_attention(cross_attention=even(6), decoder_tokens=PIECES),
        "cross_attention comes without encoder_tokens",
    ),
    "cross-attention the wrong way round": (
        lambda: trace_from_attention(
            cross_attention=torch.full((1, 2, 6, 3), 1 / 3), encoder_tokens=PIECES, decoder_tokens=TARGET_PIECES
        ),
        "cross layer 0 has 6 rows and 3 columns; 3 tokens look at 6",
    ),
    "q alone": (lambda: trace_from_attention(even(6), PIECES, q=torch.zeros(1, 2, 6, 5)), "q, k and v go together"),
    "q of another length": (
        lambda: trace_from_attention(even(6), PIECES, **dict.fromkeys("qkv", torch.zeros(1, 2, 5, 5))),
        "do not belong to weights",
    ),
    "a scale without q": (lambda: trace_from_attention(even(6), PIECES, scale=0.5), "give q, k and v too"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_said_in_a_sentence(name):
    make, words = FAULTS[name]
    with pytest.raises(ValueError) as caught:
        make()
    assert re.search(words, str(caught.value)), str(caught.value)
    assert str(caught.value).endswith(".")


# --- what is said ---------------------------------------------------------------------------------------------------


def everything_said(trace) -> str:
    """All words that pages, files and a notebook have of a trace's first head."""
    header, _ = wire.unpack(overview(trace, Reading()))
    head, _ = wire.unpack(head_pack(trace, Reading(), 0, 0))
    said = [str(trace.verdict()), str(trace.verdict(0, 0)), str(trace.ledger(0, 0, 1)), trace.readout().reason]
    said += [*header["note"], str(head["proof"]), svg(trace, Reading(), 0, 0), trace.ledger(0, 0, 1)._repr_html_()]
    return " ".join(said)


@pytest.mark.parametrize("name", ["gpt2", "bert"])
def test_the_words_say_who_gave_the_weights_and_never_that_a_model_hides_anything(outputs, name):
    trace = trace_from_attention(outputs[name], PIECES)
    said = everything_said(trace)
    assert "weights only, given by you" in said.lower()
    assert "hides" not in said and "hidden" not in said.lower()
    assert trace.verdict().answer == "cannot be checked"
    assert trace.verdict(0, 0).sentence == "cannot be checked: weights only, given by you"
    with pytest.raises(ValueError, match="weights only, given by you"):
        trace.steps(0, 0)


def test_nothing_promises_a_score(outputs):
    _, arrays = wire.unpack(head_pack(trace_from_attention(outputs["bert"], PIECES), Reading(), 0, 0))
    assert set(arrays) == {"weights"}
    header, _ = wire.unpack(overview(trace_from_attention(outputs["bert"], PIECES), Reading()))
    assert not any(layer["exact"] for layer in header["layers"])  # where it is false no hint speaks of q·k
    assert isinstance(trace_from_attention(outputs["bert"], PIECES).readout(), Unsaid)


def test_rows_that_need_not_sum_to_one_are_shown_and_said():
    trace = trace_from_attention(with_cell(0.9), PIECES, sums_to_one=False)
    assert any("need not sum to 1" in note for note in trace.notes)
    assert [check.name for check in trace.proof(0, 1)] == ["range"] == list(trace.checks)
    assert trace.proof(0, 1)[0].holds
    assert "each row sums to 1" not in svg(trace, Reading(), 0, 1)
    assert wire.unpack(overview(trace, Reading()))[0]["free_sums"] is True


def test_pictures_metrics_and_downloads_are_made_of_the_same_numbers(outputs):
    trace = trace_from_attention(outputs["bart"], encoder_tokens=PIECES, decoder_tokens=TARGET_PIECES)
    for layer in range(len(trace.layers)):
        pack = wire.unpack(head_pack(trace, Reading(), layer, 2))[1]["weights"]
        allowed = trace.layers[layer].allowed()
        shown = torch.tensor(pack).nan_to_num(0.0).reshape(trace.weights(layer, 2).shape)
        assert torch.equal(shown, trace.weights(layer, 2))  # a masked cell is 0 and hatched
        assert allowed is None or not bool(trace.weights(layer, 2)[~allowed].any())
        assert b"weights" in npz(trace, Reading(), layer, 2)
        assert len("".join(csv(trace, Reading(), layer, 2)).splitlines()) == 1 + trace.layers[layer].n_query
    scores = head_scores(trace)
    expected = -(trace.weights(0, 1) * trace.weights(0, 1).log2()).sum(dim=-1).mean()
    assert scores.of(0, 1)["entropy"] == pytest.approx(float(expected), abs=1e-5)


def test_every_cell_reaches_the_page_within_one_part_in_65535(outputs):
    for trace in (
        trace_from_attention(outputs["gpt2"], PIECES),
        trace_from_attention(outputs["bart"], encoder_tokens=PIECES, decoder_tokens=TARGET_PIECES),
    ):
        header, arrays = wire.unpack(overview(trace, Reading()))
        assert header["full"]
        for index, place in enumerate(header["layers"]):
            size = place["n_heads"] * place["rows"] * place["cols"]
            shown, masked = wire.decode_u2(arrays["heads"][place["offset"] : place["offset"] + size])
            given = trace.layers[index].given.numpy().ravel()
            assert np.abs(np.where(masked, 0.0, shown) - given).max() <= 1 / 65_535


def test_a_trace_that_made_room_comes_back_from_the_disk_to_the_bit(outputs):
    for trace in (trace_from_attention(outputs["bert"], PIECES), with_inputs()[0]):
        taken = take_apart(trace)
        assert taken is not None
        apart, blocks = taken
        data = torch.zeros(apart.nbytes, dtype=torch.uint8)
        for start, block in zip(apart.starts, blocks, strict=True):
            data[start : start + len(block)] = torch.frombuffer(bytearray(block), dtype=torch.uint8)
        back = put_together(apart, data)
        assert back.given and back.checks == trace.checks
        assert torch.equal(back.layers[0].given, trace.layers[0].given)
        assert back.proof(0, 0) == trace.proof(0, 0)


# --- with q, k and v ------------------------------------------------------------------------------------------------


def with_inputs(*, n_kv: int = 1, causal: bool = True, dtype=torch.float32, **options):
    """Two layers of three heads on five tokens, weights made by torch's own softmax from q and k."""
    torch.manual_seed(11)
    q = torch.randn(2, 3, 5, 7, dtype=dtype)
    k, v = torch.randn(2, n_kv, 5, 7, dtype=dtype), torch.randn(2, n_kv, 5, 2, dtype=dtype)
    scores = q.double() @ k.double().transpose(-1, -2) / 7**0.5
    if causal:
        scores = scores.masked_fill(torch.ones(5, 5, dtype=torch.bool).triu(1), -torch.inf)
    weights = scores.softmax(dim=-1).to(dtype)
    return trace_from_attention(weights, list("abcde"), q=q, k=k, v=v, **options), weights


@pytest.mark.parametrize(
    "options", [{}, {"causal": False}, {"n_kv": 3}, {"dtype": torch.float16}, {"dtype": torch.bfloat16}]
)
def test_q_k_and_v_that_make_the_weights_again_are_followed_and_proven(options):
    trace, weights = with_inputs(**options)
    assert trace.checks == ("mask", "weights") and not trace.notes
    assert torch.equal(trace.weights(1, 2), weights[1, 2].float())  # what is shown is what was given
    steps = trace.steps(1, 2)
    torch.testing.assert_close(steps.weights, weights[1, 2].float(), atol=2e-2, rtol=0)
    verdict = trace.verdict()
    assert verdict.answer == "checked except" and "were not given" in verdict.sentence
    assert trace.ledger(1, 2, 3).holds
    assert "scores" in wire.unpack(head_pack(trace, Reading(), 1, 2))[1]


def test_q_and_k_that_make_other_weights_are_left_out_and_it_is_said_by_how_much():
    trace, weights = with_inputs(scale=0.2)
    assert [layer.exact for layer in trace.layers] == [False, False]
    assert len(trace.notes) == 2 and "differs from the given weights by up to" in trace.notes[0]
    assert torch.equal(trace.weights(0, 1), weights[0, 1])
    assert trace.verdict().answer == "cannot be checked"


def test_who_may_read_whom_can_be_said():
    torch.manual_seed(3)
    allowed = torch.ones(5, 5, dtype=torch.bool).tril() & ~torch.ones(5, 5, dtype=torch.bool).tril(-2)
    q, k, v = torch.randn(3, 1, 3, 5, 7)
    weights = (q @ k.transpose(-1, -2) / 7**0.5).masked_fill(~allowed, -torch.inf).softmax(dim=-1)
    inputs = {"q": q, "k": k, "v": v}
    assert not trace_from_attention(weights, list("abcde"), **inputs).layers[0].exact
    for said in (allowed, allowed.numpy()):
        assert trace_from_attention(weights, list("abcde"), **inputs, allowed=said).layers[0].exact


def test_the_proof_of_given_weights_can_fail():
    """One weight is changed after the trace was made: the check names the weights."""
    trace, _ = with_inputs()
    trace.layers[0].given[1, 3, 0] += 0.05
    assert [check.name for check in trace.proof(0, 1) if not check.holds] == ["weights"]
    assert trace.verdict(0, 1).answer == "differs"
