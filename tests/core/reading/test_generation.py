"""Letting the model write, against transformers' own greedy search and the model's own probabilities."""

import pytest
import torch

from attention_core import capture
from attention_core.models.loading import wrap_model
from attention_core.reading.generation import GenerationError, append_token, continue_text, fill_mask
from tests.core.reading.test_readout import speaking
from tests.support import tiny


def plain(name: str, limit: int = 64):
    """A tiny causal model whose tokenizer adds nothing to a text."""
    from tests.core.reading.test_readout import whole

    return wrap_model(whole(name), tiny.tokenizer(specials=False, limit=limit), name=name)


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma2", "bloom"])
def test_greedy_takes_the_likeliest_token_each_time(name):
    """By the whole model, run anew for each token, without a cache."""
    model = plain(name)
    assert model.head is not None
    made = continue_text(model, "the cat sat", 5)
    ids = list(model.encode("the cat sat")["input_ids"])
    for token in made.added:
        with torch.inference_mode():
            expected = model.head.whole(torch.tensor([ids])).logits[0, -1].double().softmax(dim=0)
        assert token.id == int(expected.argmax())
        assert token.probability == pytest.approx(float(expected.max()), abs=1e-4)
        ids.append(token.id)
    assert made.added or made.ended == "end"


def test_the_same_seed_draws_the_same_and_another_seed_something_else():
    model = plain("gpt2")
    texts = {seed: continue_text(model, "the cat", 8, how="sampled", seed=seed).text for seed in range(5)}
    assert texts == {seed: continue_text(model, "the cat", 8, how="sampled", seed=seed).text for seed in range(5)}
    assert len(set(texts.values())) > 1


def test_drawing_leaves_the_random_numbers_of_others_alone():
    model = plain("gpt2")
    before = torch.random.get_rng_state()
    continue_text(model, "the cat", 3, how="sampled", seed=11)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.slow
def test_tokens_are_drawn_as_often_as_their_probability_says():
    """400 draws of one token: each frequency within 5 standard deviations of its probability."""
    model = plain("llama")
    expected = {choice.id: choice.probability for choice in capture(model, "the cat").readout().choices}
    drawn = [continue_text(model, "the cat", 1, how="sampled", seed=seed) for seed in range(400)]
    counts = {id_: sum(bool(made.added) and made.added[0].id == id_ for made in drawn) for id_ in expected}
    for id_, p in expected.items():
        assert abs(counts[id_] / 400 - p) <= 5 * (p * (1 - p) / 400) ** 0.5 + 1e-9


def test_a_low_temperature_is_greedy():
    model = plain("gpt2")
    greedy = continue_text(model, "the cat", 4).text
    assert continue_text(model, "the cat", 4, how="sampled", seed=5, temperature=1e-4).text == greedy


def test_an_encoder_decoder_continues_its_decoders_text():
    model = speaking("bart")
    made = continue_text(model, tiny.SENTENCE, 3, target="the dog")
    assert made.text.startswith("the dog")
    trace = capture(model, tiny.SENTENCE, target=made.text)
    if made.same_tokens:
        assert [token.id for token in trace.target_tokens][-len(made.added) :] == [token.id for token in made.added]


def test_a_text_ends_at_the_models_limit_and_says_so():
    model = plain("gpt2", limit=6)
    made = continue_text(model, "the cat sat", 50)
    assert (len(made.added), made.ended) in ((3, "limit"), (len(made.added), "end"))
    with pytest.raises(GenerationError, match="fills all 6 tokens"):
        continue_text(model, "the cat sat on a mat")


def writes_only(word: str):
    """A tiny GPT-2 that finds this word of the vocabulary likeliest after every text: its last vector is all ones."""
    model = plain("gpt2")
    assert model.head is not None
    with torch.no_grad():
        model.head.whole.transformer.ln_f.weight.zero_()
        model.head.whole.transformer.ln_f.bias.fill_(1.0)
        model.head.whole.transformer.wte.weight[tiny.WORDS.index(word)] = 5.0
    return model


def test_a_special_token_that_ends_no_text_is_written_like_any_other():
    made = continue_text(writes_only("[MASK]"), "the cat", 3)
    assert (made.ended, [token.text for token in made.added]) == ("length", ["[MASK]"] * 3)
    assert made.text == "the cat [MASK] [MASK] [MASK]"


@pytest.mark.parametrize("several", [False, True])
def test_a_token_that_the_checkpoint_names_ends_the_text(several):
    model = writes_only("[SEP]")
    assert model.head is not None
    ids = [tiny.WORDS.index(word) for word in ("then", "[SEP]")]
    model.head.whole.generation_config.eos_token_id = ids if several else ids[1]
    made = continue_text(model, "the cat", 3)
    assert (made.ended, made.added, made.text) == ("end", (), "the cat")


def test_writing_can_be_left():
    made = continue_text(plain("gpt2"), "the cat", 50, stop=lambda n: n >= 2)
    assert len(made.added) <= 2
    assert made.ended in ("stopped", "end")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [({"n": 0}, "Between 1 and"), ({"n": 10_000}, "Between 1 and"), ({"temperature": 0.0}, "temperature must be")],
)
def test_a_wish_that_makes_no_sense_is_refused(changes, sentence):
    with pytest.raises(GenerationError, match=sentence):
        continue_text(plain("gpt2"), "the cat", **changes)


def test_a_model_without_a_next_token_cannot_write():
    with pytest.raises(GenerationError, match="predicts no next token"):
        continue_text(speaking("bert"), tiny.SENTENCE)
    with pytest.raises(GenerationError, match="predicts no next token"):
        continue_text(tiny.family("gpt2"), tiny.SENTENCE)


def test_a_chosen_token_goes_to_the_end_of_the_text():
    made = append_token(plain("gpt2"), "the cat", tiny.WORDS.index("slept"))
    assert (made.text, made.same_tokens) == ("the cat slept", True)


def test_a_special_token_cannot_be_added():
    with pytest.raises(GenerationError, match="cannot be typed"):
        append_token(plain("gpt2"), "the cat", tiny.WORDS.index("[SEP]"))
    with pytest.raises(GenerationError, match="no token 500"):
        append_token(plain("gpt2"), "the cat", 500)


def test_one_mask_of_several_is_filled():
    model, dog = speaking("bert"), tiny.WORDS.index("dog")
    assert fill_mask(model, "the [MASK] sat on a [MASK]", 1, dog) == "the [MASK] sat on a dog"
    assert fill_mask(model, "the [MASK] sat on a [MASK]", 0, dog) == "the dog sat on a [MASK]"
    with pytest.raises(GenerationError, match="no such mask"):
        fill_mask(model, "the cat", 0, dog)
