"""What the model says, against transformers' own whole models."""

import math

import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from attention_core import capture, load_model, load_trace
from attention_core.models.language_head import LanguageHead, body_of
from attention_core.models.loading import wrap_model
from attention_core.reading.readout import (
    MaskedTokens,
    NextToken,
    Similarity,
    Unsaid,
    choices_of,
    cosine,
    likeliest,
    similarity,
)
from attention_core.record.file import trace_bytes
from tests.support import tiny

HEADS = {
    "bert": "BertForMaskedLM",
    "albert": "AlbertForMaskedLM",
    "modernbert": "ModernBertForMaskedLM",
    "gpt2": "GPT2LMHeadModel",
    "llama": "LlamaForCausalLM",
    "gemma2": "Gemma2ForCausalLM",  # soft-caps its logits
    "gpt-oss": "GptOssForCausalLM",  # asks its body for router logits
    "bloom": "BloomForCausalLM",
    "t5": "T5ForConditionalGeneration",  # scales what its head reads; has its body's parts as its own
    "bart": "BartForConditionalGeneration",  # adds a bias to its logits
}


def whole(name: str):
    """A tiny random model of a family with its language head."""
    return tiny.random_model(HEADS[name], **tiny.FAMILIES[name][1])


def speaking(name: str):
    return wrap_model(whole(name), tiny.tokenizer(), name=name)


def test_likeliest_matches_a_case_worked_by_hand():
    """softmax([0, ln 3]) = [1/4, 3/4]; its entropy is 1/4 · 2 + 3/4 · log2(4/3) bits."""
    found, entropy = likeliest(torch.tensor([0.0, math.log(3)]), 5)
    assert [id_ for id_, _ in found] == [1, 0]
    assert [p for _, p in found] == pytest.approx([0.75, 0.25])
    assert entropy == pytest.approx(0.5 + 0.75 * math.log2(4 / 3))


def test_entropy_is_0_when_certain_and_log2_of_the_vocabulary_when_not():
    assert likeliest(torch.tensor([0.0, -math.inf, -math.inf]), 1)[1] == 0
    assert likeliest(torch.zeros(7), 1)[1] == pytest.approx(math.log2(7))


def test_cosine_matches_cases_worked_by_hand():
    assert cosine(torch.tensor([3.0, 4.0]), torch.tensor([4.0, 3.0])) == pytest.approx(24 / 25)
    assert cosine(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])) == 0
    assert cosine(torch.tensor([1.0, 2.0]), torch.tensor([-1.0, -2.0])) == pytest.approx(-1)


@pytest.mark.parametrize("name", HEADS)
def test_the_head_alone_gives_the_logits_of_the_whole_model(name):
    model = whole(name)
    ids = torch.tensor([[2, 5, 6, 7, 8, 9, 3]])
    inputs = {"input_ids": ids, **({"decoder_input_ids": ids[:, :5]} if model.config.is_encoder_decoder else {})}
    with torch.inference_mode():
        expected = model(**inputs).logits[0]
        hidden = body_of(model)(**inputs).last_hidden_state[0]
    head = LanguageHead(model, "next token")
    torch.testing.assert_close(head.logits(hidden), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(head.logits(hidden[[3, 1]]), expected[[3, 1]], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2", "gpt-oss", "bloom"])
def test_the_next_token_is_that_of_the_whole_model(name):
    trace = capture(speaking(name), tiny.SENTENCE)
    readout = trace.readout()
    assert isinstance(readout, NextToken)
    assert not readout.of_decoder
    with torch.inference_mode():
        logits = whole(name)(torch.tensor([[token.id for token in trace.tokens]])).logits[0, -1]
    expected = logits.double().softmax(dim=0)
    assert [choice.probability for choice in readout.choices] == pytest.approx(
        [float(expected[choice.id]) for choice in readout.choices], abs=1e-5
    )
    assert readout.choices[0].id == int(expected.argmax())


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_a_decoder_says_its_own_next_token(name):
    trace = capture(speaking(name), tiny.SENTENCE, target="the dog slept")
    readout = trace.readout()
    assert isinstance(readout, NextToken)
    assert readout.of_decoder
    ids, decoder_ids = ([[token.id for token in tokens]] for tokens in (trace.source_tokens, trace.target_tokens))
    with torch.inference_mode():
        logits = whole(name)(torch.tensor(ids), decoder_input_ids=torch.tensor(decoder_ids)).logits[0, -1]
    assert readout.choices[0].probability == pytest.approx(float(logits.softmax(dim=0).max()), abs=1e-5)


def test_every_mask_is_filled():
    trace = capture(speaking("bert"), "the [MASK] sat on a [MASK]")
    readout = trace.readout()
    assert isinstance(readout, MaskedTokens)
    assert [trace.tokens[fill.position].text for fill in readout.fills] == ["[MASK]", "[MASK]"]
    with torch.inference_mode():
        logits = whole("bert")(torch.tensor([[token.id for token in trace.tokens]])).logits[0]
    for fill in readout.fills:
        expected = logits[fill.position].double().softmax(dim=0)
        assert fill.choices[0].id == int(expected.argmax())
        assert fill.choices[0].probability == pytest.approx(float(expected.max()), abs=1e-5)


def test_probabilities_of_the_whole_vocabulary_sum_to_1():
    readout = capture(speaking("llama"), tiny.SENTENCE).readout()
    assert isinstance(readout, NextToken)
    assert readout.d_vocab == len(tiny.WORDS)
    from attention_core.reading.readout import read_out

    everything = read_out(capture(speaking("llama"), tiny.SENTENCE), n_choices=1_000)
    assert isinstance(everything, NextToken)
    assert sum(choice.probability for choice in everything.choices) == pytest.approx(1.0)


def test_a_number_without_a_piece_is_shown_as_its_number():
    (choice,) = choices_of(tiny.tokenizer(), [(50_300, 0.5)])
    assert choice.text == "⟨50300⟩"


@pytest.fixture(scope="module")
def minilm():
    return load_model("minilm")


def test_similarity_is_that_of_the_models_card(minilm):
    """Mean of the last vectors over the attention mask, then the cosine, as the card's own code does it."""
    sentences = ["That is a happy person", "That is a happy dog"]
    folder = minilm.model.config.name_or_path
    batch = AutoTokenizer.from_pretrained(folder)(sentences, padding=True, return_tensors="pt")
    with torch.no_grad():
        vectors = AutoModel.from_pretrained(folder)(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None]
    first, second = (vectors * mask).sum(dim=1) / mask.sum(dim=1)
    found = similarity(minilm, *sentences)
    assert found.cosine == pytest.approx(float(torch.cosine_similarity(first, second, dim=0)), abs=1e-5)
    assert found.trained


def test_similarity_does_not_depend_on_the_order_and_is_1_for_the_same_sentence(minilm):
    a, b = "A cat sat on the mat.", "A kitten rested on the rug."
    assert similarity(minilm, a, b).cosine == pytest.approx(similarity(minilm, b, a).cosine)
    assert similarity(minilm, a, a).cosine == pytest.approx(1.0)
    assert similarity(minilm, a, b).cosine > similarity(minilm, a, "Shares fell sharply on Monday.").cosine


def test_a_pair_in_a_sentence_encoder_is_compared(minilm):
    readout = capture(minilm, "A cat sat.", "A kitten sat.").readout()
    assert isinstance(readout, Similarity)


def test_a_model_that_has_nothing_to_say_says_what_would_change_it(minilm):
    alone = capture(minilm, "A cat sat.").readout()
    assert isinstance(alone, Unsaid)
    assert "second sentence" in alone.reason
    unmasked = capture(speaking("bert"), tiny.SENTENCE).readout()
    assert isinstance(unmasked, Unsaid)
    assert unmasked.mask == "[MASK]"
    without = tiny.tokenizer()
    without.mask_token = None
    maskless = capture(wrap_model(whole("bert"), without), tiny.SENTENCE).readout()
    assert isinstance(maskless, Unsaid)
    assert (maskless.mask, maskless.reason.endswith("its tokenizer has no token that stands for one.")) == ("", True)
    headless = capture(tiny.family("llama"), tiny.SENTENCE).readout()
    assert isinstance(headless, Unsaid)
    assert "without its language head" in headless.reason


def test_a_trace_from_a_file_came_without_its_model(minilm):
    readout = load_trace(trace_bytes(capture(minilm, "A cat sat."))).readout()
    assert isinstance(readout, Unsaid)
    assert "came from a file" in readout.reason


def test_capture_runs_no_language_head(monkeypatch):
    def fail(*_):
        raise AssertionError("the head ran")

    monkeypatch.setattr(LanguageHead, "logits", fail)
    assert capture(speaking("gpt2"), tiny.SENTENCE).layers
