"""Capture against transformers' own eager attention, on tiny random models of many families and on MiniLM."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Barrier, BrokenBarrierError

import pytest
import torch
from transformers import AttentionMaskInterface, AutoModel, ByT5Tokenizer, T5Config, T5Model, T5Tokenizer
from transformers.masking_utils import eager_mask

from attention_core import capture, load_model
from attention_core.capturing.capture import capture_ids
from attention_core.capturing.encode import CaptureError, count_tokens
from attention_core.formula.masks import CAUSAL, EVERYTHING, Band
from attention_core.models.loading import wrap_model
from attention_core.observe import interface
from attention_core.record.layers import LayerTrace
from tests.support import tiny

GALLERY = json.loads((Path(__file__).parents[3] / "assets/examples/gallery.json").read_text(encoding="utf-8"))
DECODER_TEXT = "the dog slept and then it ran"  # 7 words


@pytest.fixture(scope="module")
def minilm():
    return load_model("minilm")


@pytest.fixture(scope="module")
def eager_minilm(minilm):
    """The same weights in a second model, with transformers' own eager attention."""
    return AutoModel.from_pretrained(minilm.model.config.name_or_path, attn_implementation="eager").eval()


def assert_proven(trace):
    for layer, of_layer in enumerate(trace.layers):
        for head in range(of_layer.n_heads):
            checks = trace.proof(layer, head)
            assert [check.name for check in checks] == ["q", "k", "v", "mask", "weights", "output", "W_O"]
            failed = [check for check in checks if not check.holds]
            assert not failed, f"layer {layer} head {head}: {failed}"


def eager_attentions(model, trace):
    """Weights as transformers returns them, in the order of the trace's layers."""
    inputs = {"input_ids": torch.tensor([[token.id for token in trace.source_tokens]])}
    if trace.target_tokens:
        inputs["decoder_input_ids"] = torch.tensor([[token.id for token in trace.target_tokens]])
    if trace.pair:
        second = [token.special for token in trace.source_tokens].index(True, 1) + 1
        types = [int(i >= second) for i in range(len(trace.source_tokens))]
        inputs["token_type_ids"] = torch.tensor([types])
    with torch.no_grad():
        found = model(**inputs, output_attentions=True)
    if not trace.target_tokens:
        return [weights[0] for weights in found.attentions]
    named = {
        "encoder self": list(found.encoder_attentions),
        "decoder self": list(found.decoder_attentions),
        "cross": list(found.cross_attentions),
    }
    return [named[layer.kind][layer.index][0] for layer in trace.layers]


@pytest.mark.parametrize("name", tiny.FAMILIES)
def test_weights_are_those_of_a_separately_built_eager_model(name):
    model = tiny.family(name)
    trace = capture(model, tiny.SENTENCE, target=DECODER_TEXT if model.facts.encoder_decoder else None)
    if model.exact:
        assert_proven(trace)
    eager = tiny.bare(name)
    eager.load_state_dict(model.model.state_dict())
    eager.set_attn_implementation("eager")
    for index, expected in enumerate(eager_attentions(eager, trace)):
        torch.testing.assert_close(trace.layers[index].all_weights(), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(example, marks=[pytest.mark.slow] if i >= 5 else [], id=example["id"])
        for i, example in enumerate(GALLERY)
    ],
)
def test_the_proof_holds_for_all_72_heads_of_minilm(minilm, eager_minilm, example):
    trace = capture(minilm, example["text"], example.get("pair") or None)
    assert sum(layer.n_heads for layer in trace.layers) == 72
    assert_proven(trace)
    for index, expected in enumerate(eager_attentions(eager_minilm, trace)):
        torch.testing.assert_close(trace.layers[index].all_weights(), expected, atol=1e-5, rtol=0)


def test_capture_leaves_the_models_result_as_it_was():
    """Bit by bit what plain SDPA gives."""
    model = tiny.family("bert")
    plain = tiny.bare("bert")
    ids = torch.tensor([[2, 5, 6, 7, 3]])
    with torch.inference_mode():
        assert torch.equal(model.model(ids).last_hidden_state, plain(ids).last_hidden_state)


@pytest.mark.parametrize(
    ("name", "masks"),
    [
        ("bert", [EVERYTHING, EVERYTHING]),
        ("gpt2", [CAUSAL, CAUSAL]),
        ("mistral", [Band(3, 0), Band(3, 0)]),
        ("gemma2", [Band(3, 0), CAUSAL]),
        ("modernbert", [EVERYTHING, Band(3, 3)]),
    ],
)
def test_a_mask_is_kept_as_a_rule(name, masks):
    assert [layer.mask for layer in capture(tiny.family(name), tiny.SENTENCE).layers] == masks


def test_without_its_mask_function_a_causal_model_would_look_ahead(monkeypatch):
    """transformers drops the causal mask in silence then: the reason why both are registered. The proof notices."""
    model = tiny.family("gemma2")  # eager: nothing but the mask keeps it causal
    monkeypatch.delitem(AttentionMaskInterface._global_mapping, interface.EAGER)
    trace = capture(model, tiny.SENTENCE)
    proofs = [trace.proof(layer, head) for layer in range(2) for head in range(6)]
    assert not all(check.holds for checks in proofs for check in checks)


def test_grouped_heads_share_keys():
    layer = capture(tiny.family("llama"), tiny.SENTENCE).layers[0]
    assert (layer.n_heads, layer.n_kv_heads) == (6, 2)
    assert [layer.kv_head(head) for head in range(6)] == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("gemma2", {"softcap": None}),
        ("gpt-oss", {"sink_logit": None}),
        ("t5", {"bias": None}),
        ("t5", {"scale": 0.4}),
        ("mistral", {"mask": CAUSAL}),
        ("gpt2", {"mask": EVERYTHING}),
        ("bert", {"scale": 1.0}),
    ],
)
def test_leaving_a_term_out_makes_the_proof_fail(name, changes):
    model = tiny.family(name)
    trace = capture(model, tiny.SENTENCE, target=DECODER_TEXT if model.facts.encoder_decoder else None)
    faulty = replace(trace.layers[0], **changes)
    trace = replace(trace, layers=(faulty, *trace.layers[1:]))
    failed = {check.name for head in range(faulty.n_heads) for check in trace.proof(0, head) if not check.holds}
    assert "weights" in failed


def test_reading_another_groups_keys_makes_the_proof_fail(monkeypatch):
    """Grouped heads as if they took turns (0, 1, 0, 1 …) instead of standing side by side (0, 0, 0, 1, 1, 1)."""
    trace = capture(tiny.family("llama"), tiny.SENTENCE)
    monkeypatch.setattr(LayerTrace, "kv_head", lambda layer, head: head % layer.n_kv_heads)
    assert "weights" in {check.name for check in trace.proof(0, 1) if not check.holds}
    assert all(check.holds for check in trace.proof(0, 0))


def test_alibi_inside_the_mask_is_a_bias_and_leaving_it_out_makes_the_proof_fail(monkeypatch):
    """Models with ALiBi add slope · (key - query) to the mask that they pass; no dispatching one does so by default."""
    slopes = torch.tensor([0.5, 0.25, 0.125])

    def with_alibi(*args, q_length, kv_length, **keywords):
        hidden = eager_mask(*args, q_length=q_length, kv_length=kv_length, **keywords)
        distance = torch.arange(kv_length)[None, :] - torch.arange(q_length)[:, None]
        return hidden + (slopes[:, None, None] * distance).masked_fill(distance > 0, 0.0)

    model = tiny.family("gpt2")
    monkeypatch.setitem(AttentionMaskInterface._global_mapping, interface.SDPA, with_alibi)
    trace = capture(model, tiny.SENTENCE)
    layer = trace.exact(0)
    assert layer.mask == CAUSAL
    torch.testing.assert_close(layer.bias[:, 5, 2], -3 * slopes)
    assert_proven(trace)
    trace = replace(trace, layers=(replace(layer, bias=None), *trace.layers[1:]))
    for head in range(3):
        assert "weights" in {check.name for check in trace.proof(0, head) if not check.holds}


def test_a_changed_value_turns_v_and_output_red_and_nothing_else():
    """Neither x·W_V nor what the model's attention returned agrees with it."""
    trace = capture(tiny.family("bert"), tiny.SENTENCE)
    v = trace.layers[0].v.clone()
    v[1, 4, 2] += 0.5
    trace = replace(trace, layers=(replace(trace.layers[0], v=v), *trace.layers[1:]))
    assert [check.name for check in trace.proof(0, 1) if not check.holds] == ["v", "output"]
    assert all(check.holds for check in trace.proof(0, 0))


def test_an_unknown_keyword_is_refused_by_name(monkeypatch):
    model = tiny.family("bert")
    real = interface.sdpa_attention_forward
    monkeypatch.setattr(interface, "sdpa_attention_forward", lambda *args, twist=None, **kw: real(*args, **kw))
    forward = type(model.model.encoder.layer[0].attention.self).forward
    monkeypatch.setattr(
        type(model.model.encoder.layer[0].attention.self),
        "forward",
        lambda self, *args, **kwargs: forward(self, *args, **{**kwargs, "twist": 0.3}),
    )
    with pytest.raises(ValueError, match="'twist'"):
        capture(model, tiny.SENTENCE)


def test_an_encoder_decoder_has_three_kinds_of_layers():
    trace = capture(tiny.family("bart"), tiny.SENTENCE, target=DECODER_TEXT)
    assert [(layer.kind, layer.index) for layer in trace.layers] == [
        ("encoder self", 0),
        ("encoder self", 1),
        ("decoder self", 0),
        ("cross", 0),
    ]
    assert [(layer.n_query, layer.n_key) for layer in trace.layers] == [(12, 12), (12, 12), (9, 9), (9, 12)]
    assert [token.text for token in trace.query_tokens(3)][:4] == ["[CLS]", "[CLS]", "the", "dog"]
    assert [token.text for token in trace.key_tokens(3)][:3] == ["[CLS]", "the", "cat"]


def test_a_decoder_without_text_has_its_start_token_and_what_its_tokenizer_puts_before_a_text():
    trace = capture(tiny.family("bart"), tiny.SENTENCE)
    assert [token.text for token in trace.target_tokens] == ["[CLS]", "[CLS]"]
    assert [layer.kind for layer in trace.layers[2:]] == ["decoder self", "cross"]


def test_albert_calls_one_module_many_times_and_each_call_is_a_layer():
    trace = capture(tiny.family("albert"), tiny.SENTENCE)
    assert [layer.index for layer in trace.layers] == [0, 1]
    assert not torch.equal(trace.layers[0].q, trace.layers[1].q)


def test_an_architecture_that_hides_q_and_k_gives_its_weights_only_and_says_so():
    trace = capture(tiny.family("bloom"), tiny.SENTENCE)
    assert [(layer.kind, layer.exact) for layer in trace.layers] == [("decoder self", False)] * 2
    (check,) = trace.proof(0, 1)
    assert check.holds
    assert "hides q and k" in check.reason
    with pytest.raises(ValueError, match="hides q and k"):
        trace.steps(0, 1)


def test_two_sentences_are_read_as_a_pair():
    trace = capture(tiny.family("bert"), "the cat sat", "a dog ran")
    assert [token.text for token in trace.tokens] == "[CLS] the cat sat [SEP] a dog ran [SEP]".split()
    assert [token.word for token in trace.tokens if token.word is not None] == sorted(
        {token.word for token in trace.tokens if token.word is not None}
    )


def test_a_text_over_the_limit_is_cut_and_says_where():
    model = wrap_model(tiny.bare("bert"), tiny.tokenizer(limit=7))
    trace = capture(model, tiny.SENTENCE)
    assert [token.text for token in trace.tokens] == "[CLS] the cat sat on a [SEP]".split()
    assert trace.notes == ("The model reads at most 7 tokens: 5 of 12 were cut, up to “the cat sat on a”.",)
    counted = count_tokens(model, tiny.SENTENCE)
    assert (counted.n_tokens, counted.n_special, counted.cut_from) == (12, 2, len("the cat sat on a"))


CUT_PAIRS = [  # sentences, where each is cut, and the character of the first from which nothing is read
    ("the cat", "a dog ran far away", ": the second sentence after “a dog ran”", None),
    ("a dog ran far away", "the cat", ": the first sentence after “a dog ran”", len("a dog ran")),
    (
        "a dog ran far away",
        "the cat sat on",
        ": the first sentence after “a dog ran” and the second sentence after “the cat”",
        len("a dog ran"),
    ),
]


@pytest.mark.parametrize(("first", "second", "where", "cut_from"), CUT_PAIRS)
def test_a_pair_over_the_limit_says_which_sentence_is_cut_and_where(first, second, where, cut_from):
    model = wrap_model(tiny.bare("bert"), tiny.tokenizer(limit=8))
    counted = count_tokens(model, first, second)
    (note,) = capture(model, first, second).notes
    cut = counted.n_tokens - 8
    assert note == f"The model reads at most 8 tokens: {cut} of {counted.n_tokens} were cut{where}."
    assert counted.cut_from == cut_from


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\x00\x01"])
def test_a_text_without_tokens_is_refused_with_a_sentence(text):
    with pytest.raises(CaptureError, match="Type at least one word"):
        capture(tiny.family("bert"), text)


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", "$x$ **b** :smile:", "\ud800 cat", "שלום عالم", "👩‍👩‍👧 🇩🇪", "cat\x07 sat\x00"],
)
def test_any_text_is_data(minilm, text):
    trace = capture(minilm, text)
    assert len(trace.tokens) > 2
    assert_proven(trace)


def test_an_unknown_word_is_shown_as_unknown_and_not_dropped():
    trace = capture(tiny.family("bart"), "the zebra sat", target="the zebra sat")
    assert [token.text for token in trace.source_tokens] == ["[CLS]", "the", "[UNK]", "sat", "[SEP]"]
    assert [token.text for token in trace.target_tokens] == ["[CLS]", "[CLS]", "the", "[UNK]", "sat"]
    assert not trace.source_tokens[2].special


def run_two_texts_over_one_model(runs: int) -> int:
    """How many of `runs` captures in each of two threads saw another text's tensors.

    Each run begins in both threads at once, however the machine shares them out: both are inside the model.
    """
    model = tiny.family("gpt2", n_embd=15)
    texts = ["the cat sat on a mat", "a dog ran far away"]
    expected = [capture(model, text) for text in texts]
    inside = Barrier(2)

    def meet(*_: object) -> None:
        with suppress(BrokenBarrierError):  # the other thread has ended
            inside.wait()

    model.model.register_forward_pre_hook(meet)

    def visitor(which: int) -> int:
        mixed = 0
        try:
            for _ in range(runs):
                trace = capture(model, texts[which])
                same = len(trace.layers) == 2 and all(
                    ours.q.shape == theirs.q.shape and torch.equal(ours.q, theirs.q)
                    for ours, theirs in zip(trace.layers, expected[which].layers, strict=True)
                )
                mixed += not same
        finally:
            inside.abort()
        return mixed

    with ThreadPoolExecutor(2) as visitors:
        return sum(visitors.map(visitor, [0, 1]))


def test_two_threads_over_one_model_never_mix():
    assert run_two_texts_over_one_model(200) == 0


def test_counting_and_cutting_at_once_do_not_disturb_each_other():
    """A fast tokenizer keeps truncation as a state: without a lock, a count in one thread un-cuts a text in another."""
    model = wrap_model(tiny.bare("bert"), tiny.tokenizer(limit=32))
    text = "the cat sat on a mat " * 40

    def one(i: int) -> int:
        return count_tokens(model, text).n_tokens if i % 2 else len(capture(model, text).tokens)

    with ThreadPoolExecutor(4) as visitors:
        found = list(visitors.map(one, range(200)))
    assert set(found[0::2]) == {32}
    assert set(found[1::2]) == {242}


class _GlobalVariable:
    """What a ContextVar would be without its context."""

    def __init__(self) -> None:
        self.value = None

    def get(self):
        return self.value

    def set(self, value):
        before, self.value = self.value, value
        return before

    def reset(self, before) -> None:
        self.value = before


def test_the_test_before_this_one_can_fail(monkeypatch):
    """The same run with a global collector mixes texts up, so the two threads really do overlap."""
    from attention_core.capturing import capture as capturing

    shared = _GlobalVariable()
    monkeypatch.setattr(interface, "collector", shared)
    monkeypatch.setattr(capturing, "collector", shared)
    with pytest.raises((AssertionError, CaptureError, ValueError)):
        assert run_two_texts_over_one_model(200) == 0


def test_tokens_given_as_ids_are_read_as_they_are():
    """The same ids as the text's own give the same q; nothing is added, and what cannot be read is refused."""
    model = tiny.family("bert")
    of_text = capture(model, tiny.SENTENCE)
    of_ids = capture_ids(model, [token.id for token in of_text.tokens])
    assert torch.equal(of_ids.exact(1).q, of_text.exact(1).q)
    assert [(t.id, t.special) for t in of_ids.tokens] == [(t.id, t.special) for t in of_text.tokens]
    with pytest.raises(ValueError, match="ids must be 1 … 64 tokens; got 65"):
        capture_ids(model, [5] * 65)
    with pytest.raises(ValueError, match="needs them"):
        capture_ids(tiny.family("t5"), [5, 6])


# --- special tokens that somebody typed


def t5_tokenizer():
    """Letters, blanks and three sentinels, as T5 has a hundred."""
    letters = [(letter, -5.0) for letter in "▁abcdefghijklmnopqrstuvwxyz"]
    vocab = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁cat", -2.0), ("▁dog", -2.0), *letters]
    return T5Tokenizer(vocab=vocab, extra_ids=3)


def t5_with(tokenizer):
    sizes = {**tiny.FAMILIES["t5"][1], "vocab_size": len(tokenizer), "decoder_start_token_id": 0}
    return wrap_model(T5Model(T5Config(**sizes)).eval(), tokenizer)


def test_sentinels_are_read_on_both_sides_of_a_t5():
    """T5 was trained on them: `<extra_id_0>` is a gap in the text and what fills it in the decoder's."""
    trace = capture(t5_with(t5_tokenizer()), "cat <extra_id_0> dog", target="<extra_id_0> cat <extra_id_1> dog")
    assert [(token.text, token.special) for token in trace.source_tokens] == [
        ("·cat", False),
        ("<extra_id_0>", False),
        ("·dog", False),
        ("</s>", True),
    ]
    texts = [token.text for token in trace.target_tokens]
    assert texts == ["<pad>", "<extra_id_0>", "·cat", "<extra_id_1>", "·dog"]
    assert [token.special for token in trace.target_tokens] == [True] + [False] * 4
    assert_proven(trace)


def test_a_typed_special_token_is_text_and_the_added_ones_are_not():
    trace = capture(tiny.family("bert"), "the [SEP] cat", "[CLS] dog")
    assert [token.text for token in trace.tokens] == "[CLS] the [SEP] cat [SEP] [CLS] dog [SEP]".split()
    assert [place for place, token in enumerate(trace.tokens) if token.special] == [0, 4, 7]
    assert count_tokens(tiny.family("bert"), "the [SEP] cat", "[CLS] dog").n_special == 3


def test_a_tokenizer_written_in_python_tells_typed_from_added_too():
    tokenizer = ByT5Tokenizer(extra_ids=2)
    assert not tokenizer.is_fast
    trace = capture(t5_with(tokenizer), "</s>a", target="a</s>b")
    assert [(token.piece, token.special) for token in trace.source_tokens] == [
        ("</s>", False),
        ("a", False),
        ("</s>", True),
    ]
    assert [token.piece for token in trace.target_tokens] == ["<pad>", "a", "</s>", "b"]


@pytest.mark.parametrize(
    ("text", "shown", "words"),
    [
        ("naïve", ["n", "a", "⟨C3⟩", "⟨AF⟩", "ve"], 1),
        ("日本", ["⟨E6⟩", "⟨97⟩", "⟨A5⟩", "⟨E6⟩", "⟨9C⟩", "⟨AC⟩"], 1),
        ("Hello", ["H", "ell", "o"], 1),
        ("Hello there", ["H", "ell", "o", "·there"], 2),
    ],
)
def test_a_vocabulary_of_bytes_is_known_without_a_blank_in_the_text(text, shown, words):
    trace = capture(load_model("storyteller"), text)
    assert [token.text for token in trace.tokens] == shown
    assert len({token.word for token in trace.tokens}) == words
    assert not any("Ġ" in choice.text for choice in trace.readout().choices)
