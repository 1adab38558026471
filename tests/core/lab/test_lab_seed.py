"""A real head in the Lab gives the numbers of its trace."""

from dataclasses import replace

import pytest
import torch

from attention_core import capture
from attention_core.lab.edits import changed_from_real, to_real, with_cell
from attention_core.lab.link import from_link, to_link
from attention_core.lab.run import run
from attention_core.lab.seed import from_trace
from attention_core.lab.state import Switches
from tests.support import tiny

# 10 words, and [CLS] and [SEP] around them.
SENTENCE = tiny.SENTENCE


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "mistral", "t5", "qwen3"])
def test_q_k_and_v_are_the_models_bit_for_bit(name: str):
    trace = capture(tiny.family(name), SENTENCE)
    one = trace.exact(1)
    state, tokens = from_trace(trace, 1, 2, (7, 2, 3)), [2, 3, 7]
    kv_head = one.kv_head(2)
    for cells, tensor in ((state.q, one.q[2]), (state.k, one.k[kv_head]), (state.v, one.v[kv_head])):
        assert torch.equal(torch.tensor(cells), tensor.float()[tokens])
    assert state.words == tuple(trace.tokens[token].text for token in tokens)  # in the order of the text
    assert state.real is not None and state.real.tokens == (2, 3, 7)


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "mistral", "t5", "qwen3"])
def test_weights_over_the_chosen_tokens_are_the_models_renormalised(name: str):
    """Softmax over some keys alone is the whole row's weights divided by what those keys had together."""
    trace, tokens = capture(tiny.family(name), SENTENCE), (1, 2, 4, 5, 9)
    state = from_trace(trace, 0, 1, tokens)
    part = trace.weights(0, 1)[list(tokens)][:, list(tokens)].double()
    expected = part / part.sum(dim=-1, keepdim=True)
    torch.testing.assert_close(run(state).weights[0], expected, rtol=0, atol=1e-5)
    assert state.real is not None
    outside = float(1 - part.sum(dim=-1).mean())
    n = len(trace.query_tokens(0))
    assert state.real.notes[0].startswith("Weights here are over these 5 tokens alone.")
    assert f"{n - 5} other tokens, which take {outside:.0%} of these rows' attention" in state.real.notes[0]


def test_all_tokens_of_a_text_give_the_models_own_weights_and_output():
    trace = capture(tiny.family("bert"), "the cat sat on")
    state = from_trace(trace, 1, 2, tuple(range(6)))
    torch.testing.assert_close(run(state).weights[0], trace.weights(1, 2).double(), rtol=0, atol=1e-5)
    torch.testing.assert_close(run(state).result, trace.exact(1).output[2].double(), rtol=0, atol=1e-5)
    assert state.real is not None
    assert state.real.notes == ("These are all tokens of the text: the weights are the model's own.",)


def test_a_causal_model_sets_the_causal_switch():
    causal = from_trace(capture(tiny.family("gpt2"), SENTENCE), 0, 0, (0, 3, 5))
    assert causal.switches == Switches(causal=True)
    assert causal.real is not None and causal.real.allowed is None
    assert from_trace(capture(tiny.family("bert"), SENTENCE), 0, 0, (0, 3, 5)).switches == Switches()


def test_a_window_of_the_model_is_kept_by_the_places_in_its_text():
    """Mistral here sees 4 tokens: the last of 1, 2, 9 sees neither of the others, though they are neighbours."""
    state = from_trace(capture(tiny.family("mistral"), SENTENCE), 0, 0, (1, 2, 9))
    assert state.real is not None
    assert state.real.allowed == ((True, False, False), (True, True, False), (False, False, True))


def test_a_bias_comes_along():
    trace = capture(tiny.family("t5"), SENTENCE)
    state = from_trace(trace, 0, 1, (1, 4, 6))
    bias = trace.exact(0).bias
    assert state.real is not None and state.real.bias is not None and bias is not None
    assert torch.equal(torch.tensor(state.real.bias), bias[1].float()[[1, 4, 6]][:, [1, 4, 6]])
    assert state.real.scale == 1.0


@pytest.mark.parametrize(("name", "words"), [("gemma2", "soft-cap"), ("gpt-oss", "sink logit")])
def test_what_of_a_real_head_is_left_out_is_said(name: str, words: str):
    state = from_trace(capture(tiny.family(name), SENTENCE), 0, 0, (0, 1, 2))
    assert state.real is not None
    assert any(words in note and "left out here" in note for note in state.real.notes)


def test_a_sink_logits_share_is_not_counted_as_attention_to_other_tokens():
    """A sink logit so high that it takes all but nothing of every row leaves all but nothing to the other token."""
    for n, others in ((6, "1 other token, which takes 0%"), (7, "2 other tokens, which take 0%")):
        trace = capture(tiny.family("gpt-oss"), " ".join(SENTENCE.split()[: n - 2]))
        assert len(trace.tokens) == n
        sunk = replace(trace.exact(0), sink_logit=torch.full((trace.layers[0].n_heads,), 30.0))
        state = from_trace(replace(trace, layers=(sunk, *trace.layers[1:])), 0, 0, tuple(range(5)))
        assert state.real is not None
        assert f"share a row with {others} of these rows' attention" in state.real.notes[0]


def test_an_edited_head_goes_back_to_real_also_through_a_link():
    real = from_trace(capture(tiny.family("llama"), SENTENCE), 1, 3, (0, 2, 5, 8))
    edited = from_link(to_link(with_cell(real, "k", 2, 4, 1.5)))
    assert changed_from_real(edited) == {"q": (), "k": ((2, 4),), "v": ()}
    assert to_real(edited) == real


def test_nothing_of_the_trace_is_changed():
    trace = capture(tiny.family("bert"), SENTENCE)
    before = {name: tensor.clone() for name, tensor in trace.layers[0].tensors().items()}
    run(with_cell(from_trace(trace, 0, 0, (0, 1, 2)), "q", 0, 0, 9.0))
    assert all(torch.equal(tensor, before[name]) for name, tensor in trace.layers[0].tensors().items())


@pytest.mark.parametrize(
    ("tokens", "says"),
    [
        ((0, 1), "Choose 3 to 8 different tokens; got 2"),
        ((0, 1, 1), "Choose 3 to 8 different tokens"),
        (tuple(range(9)), "Choose 3 to 8 different tokens; got 9"),
        ((0, 1, 12), "The text has tokens 0 to 11"),
        ((-1, 0, 1), "The text has tokens 0 to 11"),
    ],
)
def test_tokens_that_the_lab_cannot_take_are_refused(tokens: tuple[int, ...], says: str):
    with pytest.raises(ValueError, match=says):
        from_trace(capture(tiny.family("bert"), SENTENCE), 0, 0, tokens)


def test_a_head_that_cannot_be_copied_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="cross-attention"):
        trace = capture(tiny.family("bart"), SENTENCE, target="the dog ran far")
        cross = next(index for index, one in enumerate(trace.layers) if one.kind == "cross")
        from_trace(trace, cross, 0, (0, 1, 2))
    with pytest.raises(ValueError, match="hides q and k, so there is nothing to copy"):
        from_trace(capture(tiny.family("bloom"), SENTENCE), 0, 0, (0, 1, 2))
    with pytest.raises(ValueError, match="head"):
        from_trace(capture(tiny.family("bert"), SENTENCE), 0, 3, (0, 1, 2))
