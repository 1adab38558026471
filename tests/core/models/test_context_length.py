"""How long a text may be: what a model states is tried on what was built."""

from functools import cache
from typing import Any

import pytest
import torch
from transformers import (
    BertConfig,
    BertTokenizer,
    EncoderDecoderConfig,
    EncoderDecoderModel,
    RobertaConfig,
)

from attention_core import capture, load_trace, save_trace
from attention_core.capturing.capture import capture_ids
from attention_core.capturing.encode import CaptureError, count_tokens, decoder_side
from attention_core.models.facts import LoadedModel
from attention_core.models.loading import wrap_model
from attention_core.reading.generation import continue_text
from tests.commands.matrix.checking import build, model_class
from tests.commands.matrix.shrinking import N_POSITIONS, tiny_config
from tests.support import tiny

# Position numbers that begin after the padding token's: the first table rows stand for no place.
PADDED = "roberta xlm-roberta camembert data2vec-text xmod mpnet esm luke".split()
PADDED_TOO = "xlm-roberta-xl roberta-prelayernorm lilt ibert markuplm".split()  # relatives that nobody had reported
AS_STATED = "bert gpt2 opt bart pegasus reformer gptj".split()


@cache
def made(model_type: str) -> LoadedModel:
    """A tiny random model whose tokenizer states no limit of its own."""
    config: Any = tiny_config(model_type)
    return wrap_model(build(model_class(config, model_type), config), tiny.tokenizer(limit=10**30), name=model_type)


def text_of(n_tokens: int) -> str:
    """A text that comes to so many tokens; [CLS] and [SEP] are two of them."""
    return " ".join(["cat"] * (n_tokens - 2))


@pytest.mark.filterwarnings("ignore")  # transformers' own, about sizes that are too small to be real
@pytest.mark.parametrize("model_type", [*PADDED, *PADDED_TOO, *AS_STATED])
def test_the_longest_text_that_the_card_claims_is_captured_and_one_token_more_is_cut_with_a_note(model_type):
    model = made(model_type)
    limit = model.facts.context_length
    assert limit is not None
    whole = capture(model, text_of(limit))
    assert len(whole.source_tokens) == limit and not any("were cut" in note for note in whole.notes)
    cut = capture(model, text_of(limit + 1))
    assert len(cut.source_tokens) == limit
    assert any(note.startswith(f"The model reads at most {limit} tokens: 1 of {limit + 1}") for note in cut.notes)
    counted = count_tokens(model, text_of(limit + 1))
    assert counted.n_tokens == limit + 1 and counted.cut_from == len(text_of(limit))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model_type", [*PADDED, *PADDED_TOO, *AS_STATED])
def test_no_place_is_given_away(model_type):
    """Two rows, or one, of a padded table stand for no place: what the padding token's number says. All others are."""
    model = made(model_type)
    padding = model.model.config.pad_token_id
    lost = padding + 1 if model_type in [*PADDED, *PADDED_TOO] else 0
    assert model.facts.context_length == N_POSITIONS - lost


def encoder_decoder(n_source: int, n_target: int) -> LoadedModel:
    """A RoBERTa that encodes and a BERT that decodes, with these numbers of rows."""
    sizes: Any = {"vocab_size": len(tiny.WORDS), "hidden_size": 15, "num_attention_heads": 3, "num_hidden_layers": 1}
    encoder = RobertaConfig(**sizes, intermediate_size=17, max_position_embeddings=n_source)
    decoder = BertConfig(
        **sizes, intermediate_size=17, max_position_embeddings=n_target, is_decoder=True, add_cross_attention=True
    )
    config = EncoderDecoderConfig(
        encoder=encoder.to_dict(), decoder=decoder.to_dict(), decoder_start_token_id=2, pad_token_id=0
    )
    return wrap_model(EncoderDecoderModel(config).eval(), tiny.tokenizer(limit=10**30))


def shrunk(model_type: str, **values: int) -> LoadedModel:
    config: Any = tiny_config(model_type)
    for name, value in values.items():
        setattr(config, name, value)
    return wrap_model(build(model_class(config, model_type), config), tiny.tokenizer(limit=10**30))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("make", "source", "target"),
    [
        (lambda: encoder_decoder(31, 23), 29, 23),
        (lambda: shrunk("led", max_encoder_position_embeddings=32, max_decoder_position_embeddings=23), 32, 23),
        (lambda: shrunk("prophetnet"), N_POSITIONS - 1, N_POSITIONS - 2),
        (lambda: shrunk("bart"), N_POSITIONS, N_POSITIONS),
    ],
    ids=["roberta to bert", "led", "prophetnet", "bart"],
)
def test_a_decoder_has_a_limit_of_its_own(make, source, target):
    model = make()
    assert (model.facts.context_length, model.facts.target_length) == (source, target)
    both = capture(model, text_of(source), target=" ".join(["dog"] * 70))
    assert (len(both.source_tokens), len(both.target_tokens)) == (source, target)
    assert any(note.startswith("The decoder's text was cut to") for note in both.notes)
    assert len(decoder_side(model, " ".join(["dog"] * 70)).ids) == target
    capture_ids(model, [5] * source, [2] * target)
    with pytest.raises(ValueError, match=f"target_ids must be 1 … {target} tokens"):
        capture_ids(model, [5] * source, [2] * (target + 1))


def test_writing_goes_on_to_the_decoders_own_limit():
    import transformers

    config: Any = tiny_config("led")
    config.max_encoder_position_embeddings, config.max_decoder_position_embeddings = 32, 11
    config.decoder_start_token_id, config.eos_token_id, config.forced_eos_token_id = 2, None, None
    whole = build(transformers.LEDForConditionalGeneration, config)
    whole.generation_config.eos_token_id = whole.generation_config.forced_eos_token_id = None
    model = wrap_model(whole, tiny.tokenizer(limit=10**30))
    made = continue_text(model, "the cat sat", 20, target="a dog")
    assert made.ended in ("limit", "end")
    assert made.ended == "end" or len(decoder_side(model, made.text).ids) == 11


@pytest.mark.parametrize(("name", "stated", "limit"), [("bert", 7, 7), ("roberta", 62, 62), ("roberta", 63, 62)])
def test_the_tokenizers_own_limit_counts_where_it_is_smaller(name, stated, limit):
    config: Any = tiny_config(name)
    model = wrap_model(build(model_class(config, name), config), tiny.tokenizer(limit=stated))
    assert model.facts.context_length == limit


@pytest.mark.parametrize("name", ["t5", "bloom", "umt5"])
def test_what_nothing_limits_stays_without_a_limit(name):
    model = made(name)
    assert model.facts.context_length is None and model.facts.target_length is None
    assert len(capture(model, text_of(2 * N_POSITIONS)).source_tokens) == 2 * N_POSITIONS


@pytest.mark.filterwarnings("ignore")
def test_trying_leaves_the_model_as_it_was():
    """No hook stays; BigBird changes its attention for good when it reads a short text, and was not made to."""
    config: Any = tiny_config("big_bird")
    config.attention_type, config.block_size, config.num_random_blocks = "block_sparse", 2, 1
    model: Any = build(model_class(config, "big_bird"), config)
    before = {name: parameter.clone() for name, parameter in model.state_dict().items()}
    assert wrap_model(model, tiny.tokenizer(limit=10**30)).facts.context_length == N_POSITIONS
    assert model.attention_type == "block_sparse"
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())
    after = model.state_dict()
    assert list(before) == list(after) and all(torch.equal(before[name], after[name]) for name in before)


def test_nothing_behind_the_embeddings_is_computed_to_find_the_limit():
    """As many as a table with a hundred thousand rows has places would be too many for the layers."""
    config: Any = tiny_config("roberta")
    config.max_position_embeddings = 100_000
    model: Any = build(model_class(config, "roberta"), config)
    called = []
    for layer in model.encoder.layer:
        layer.attention.register_forward_hook(lambda *_: called.append(True))
    assert wrap_model(model, tiny.tokenizer(limit=10**30)).facts.context_length == 100_000 - 2
    assert not called


def test_a_token_that_the_model_has_no_vector_for_is_named():
    config: Any = tiny_config("bert")
    config.vocab_size = 7
    model = wrap_model(build(model_class(config, "bert"), config), tiny.tokenizer())
    with pytest.raises(CaptureError, match="has vectors for 7 tokens, and “dog” has the number 12: .* not belong"):
        capture(model, "the dog")


def test_a_second_sentence_that_the_model_has_no_type_for_is_named():
    config: Any = tiny_config("bert")
    config.type_vocab_size = 1
    tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(tiny.WORDS)})
    model = wrap_model(build(model_class(config, "bert"), config), tokenizer)
    with pytest.raises(CaptureError, match="vectors for 1 kind of sentence, and its tokenizer marks 2"):
        capture(model, "the cat sat", "a dog ran")


def test_the_decoders_limit_travels_with_a_trace_and_a_file_of_before_opens_without_it(tmp_path):
    trace = capture(made("bart"), "the cat sat", target="a dog")
    save_trace(trace, tmp_path / "trace.safetensors")
    assert load_trace(tmp_path / "trace.safetensors").facts.target_length == N_POSITIONS
    data, written = (tmp_path / "trace.safetensors").read_bytes(), rb", \"target_length\": 64"
    assert data.count(written) == 1
    assert load_trace(data.replace(written, b" " * len(written))).facts.target_length is None
