"""Both sides of a translation model, against the tokenizer's own call and the model's own training."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from attention_core import capture, load_model, load_trace
from attention_core.capturing.encode import CaptureError, count_tokens, decoder_side
from attention_core.models.loading import wrap_model
from attention_core.reading.generation import GenerationError, append_token, continue_text
from attention_core.reading.readout import NextToken
from attention_core.record.file import trace_bytes
from attention_core.text.languages import Languages, spoken_by
from tests.support import tiny
from tests.support.translators import SOURCE, TARGET, TRANSLATORS, build

# (source, target), each another than the tokenizer's own
CHOICES = {
    "m2m100": ("fr", "de"),
    "plbart": ("java", "python"),
    "mbart": ("fr_XX", "ro_RO"),
    "mbart50": ("fr_XX", "uk_UA"),
    "nllb": ("fra_Latn", "deu_Latn"),
    "seamless": ("fra", "deu"),
}
SPOKEN = sorted(CHOICES)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Models and tokenizers as transformers makes them, each built once."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = build(name, tmp_path_factory.mktemp("translator"))
        return made[name]

    return get


@pytest.fixture(scope="module")
def wrapped(built):
    made = {}

    def get(name):
        if name not in made:
            made[name] = wrap_model(*built(name), name=name)
        return made[name]

    return get


def shifted_right(model, labels):
    """The decoder's input that the model makes of labels in its training, without what ends them."""
    seen = []

    def note(module, args, kwargs):
        seen.append(kwargs["input_ids"] if kwargs.get("input_ids") is not None else args[0])

    decoder = model.get_decoder() if hasattr(model, "get_decoder") else model.text_decoder
    hook = decoder.register_forward_pre_hook(note, with_kwargs=True)
    try:
        with torch.no_grad():
            model(input_ids=torch.tensor([[4, 5, 2]]), labels=torch.tensor([labels]))
    finally:
        hook.remove()
    return seen[0][0].tolist()


@pytest.mark.parametrize("name", [name for name in TRANSLATORS if name not in ("fsmt", "seamless")])
def test_a_decoder_reads_its_text_as_the_tokenizers_own_target_moved_right_by_the_model(name, built, wrapped):
    model, tokenizer = built(name)
    if name in CHOICES:
        tokenizer.tgt_lang = wrapped(name).languages(*CHOICES[name]).target
    labels = tokenizer(text_target=TARGET)["input_ids"]
    expected = shifted_right(model, labels)
    languages = dict(zip(("source_language", "target_language"), CHOICES.get(name, ()), strict=False))
    trace = capture(wrapped(name), SOURCE, target=TARGET, **languages)
    found = [token.id for token in trace.target_tokens]
    assert expected[: len(found)] == found
    left_out = expected[len(found) :]  # what ends a target is not there before the text has ended
    assert set(left_out) <= {tokenizer.eos_token_id, *(wrapped(name).spoken.codes.values() if name in CHOICES else ())}
    assert [token.id for token in trace.target_tokens if not token.special] == [
        id_ for id_ in tokenizer(text_target=TARGET, add_special_tokens=False)["input_ids"]
    ]


@pytest.mark.parametrize("name", ["marian", "marian, one vocabulary", "fsmt"])
def test_each_sides_tokens_are_named_by_its_own_vocabulary(name, wrapped):
    """Source and target have the same ids for other pieces: read aloud they are the two texts again."""
    trace = capture(wrapped(name), SOURCE, target=TARGET)

    def read(tokens):
        pieces = "".join(token.piece for token in tokens if not token.special)
        return pieces.replace("▁", " ").replace("</w>", " ").strip()

    assert read(trace.source_tokens) == SOURCE
    assert read(trace.target_tokens) == TARGET


def test_a_german_target_of_marian_is_read_in_pieces_not_letters(built, tmp_path):
    """From a folder, as people have it."""
    model, tokenizer = built("marian")
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    trace = capture(load_model(str(tmp_path)), SOURCE, target=TARGET)
    assert len(trace.target_tokens) == 1 + len(TARGET.split())


@pytest.mark.parametrize("name", ["marian", "marian, one vocabulary", "fsmt"])
def test_what_a_decoder_may_say_next_is_named_by_its_own_vocabulary(name, built, wrapped):
    model = wrapped(name)
    readout = capture(model, SOURCE, target="der kleine").readout()
    assert isinstance(readout, NextToken)
    vocabulary = built(name)[1].decoder  # of what is written
    assert [choice.piece for choice in readout.choices] == [vocabulary[choice.id] for choice in readout.choices]
    known = decoder_side(model, TARGET).tokens[-1]  # a word's piece
    added = append_token(model, SOURCE, known.id, target="der kleine")
    assert added.same_tokens and added.text.startswith("der kleine")
    assert decoder_side(model, added.text).tokens[-1].piece == known.piece


@pytest.mark.parametrize("name", [name for name in TRANSLATORS if name != "seamless"])
def test_what_is_written_is_what_the_model_writes_after_the_same_tokens(name, built, wrapped):
    """transformers' own generate, given the decoder's tokens, its start told as they begin."""
    model = wrapped(name)
    source, target = CHOICES.get(name, (None, None))
    made = continue_text(model, SOURCE, 3, source_language=source, target_language=target)
    trace = capture(model, SOURCE, source_language=source, target_language=target)
    given = torch.tensor([[token.id for token in trace.target_tokens]])
    own = built(name)[0].generate(
        torch.tensor([[token.id for token in trace.source_tokens]]),
        decoder_input_ids=given,
        decoder_start_token_id=int(given[0, 0]),
        max_new_tokens=4,
        do_sample=False,
        num_beams=1,
    )
    n = given.shape[1]
    assert [choice.id for choice in made.added] == own[0, n : n + len(made.added)].tolist()
    readout = trace.readout()
    assert isinstance(readout, NextToken)
    if made.added:
        assert readout.choices[0].id == made.added[0].id


@pytest.mark.parametrize("name", SPOKEN)
def test_the_chosen_languages_stand_beside_both_texts_and_in_the_trace(name, wrapped):
    model = wrapped(name)
    source, target = CHOICES[name]
    languages = model.languages(source, target)
    trace = capture(model, SOURCE, target=TARGET, source_language=source, target_language=target)
    assert (trace.source_language, trace.target_language) == (languages.source, languages.target)
    codes = model.spoken.codes
    framing = [token.id for token in trace.source_tokens if token.special]
    assert codes[languages.source] in framing and codes[languages.target] not in framing
    begins = [token.id for token in trace.target_tokens if token.special]
    assert codes[languages.target] in begins and codes[languages.source] not in begins
    assert trace.target_tokens[len(begins) - 1].id == codes[languages.target]  # the last thing before the text
    assert count_tokens(model, SOURCE, source_language=source).n_tokens == len(trace.source_tokens)
    opened = load_trace(trace_bytes(trace))
    assert (opened.source_language, opened.target_language) == (languages.source, languages.target)


def test_seamless_begins_as_its_own_generation_does(wrapped):
    """`</s> __deu__`: transformers' SeamlessM4T puts the start token before the language; the labels hold both."""
    trace = capture(wrapped("seamless"), SOURCE, target=TARGET, target_language="deu")
    assert [token.piece for token in trace.target_tokens[:3]] == ["</s>", "__deu__", "▁d"]


@pytest.mark.parametrize("name", SPOKEN)
def test_a_tokenizer_is_left_as_it_was(name, built, wrapped):
    model, (_, tokenizer) = wrapped(name), built(name)
    before = tokenizer.src_lang, tokenizer.tgt_lang, tokenizer(SOURCE)["input_ids"]
    source, target = CHOICES[name]
    capture(model, SOURCE, target=TARGET, source_language=source, target_language=target)
    continue_or_not = model.head is not None
    if continue_or_not:
        continue_text(model, SOURCE, 1, source_language=source, target_language=target)
    assert (tokenizer.src_lang, tokenizer.tgt_lang, tokenizer(SOURCE)["input_ids"]) == before


def test_threads_with_other_languages_do_not_mix(wrapped):
    model = wrapped("nllb")
    pairs = [("fra_Latn", "deu_Latn"), ("deu_Latn", "eng_Latn"), ("spa_Latn", "fra_Latn"), ("eng_Latn", "spa_Latn")]
    gate = threading.Barrier(len(pairs))

    def read(pair):
        languages = model.languages(*pair)
        gate.wait()
        return [
            (model.encode(SOURCE, languages=languages)["input_ids"][0], decoder_side(model, TARGET, languages).ids[1])
            for _ in range(20)
        ]

    with ThreadPoolExecutor(len(pairs)) as threads:
        found = list(threads.map(read, pairs))
    codes = model.spoken.codes
    assert found == [[(codes[source], codes[target])] * 20 for source, target in pairs]


def test_where_nobody_chooses_a_checkpoints_own_target_counts_and_else_the_sources_is_told(built, wrapped):
    _, tokenizer = built("nllb")
    trace = capture(wrapped("nllb"), SOURCE)
    assert trace.target_language == "eng_Latn"
    assert trace.notes == ("No target language was chosen: the decoder is told the source's, eng_Latn.",)
    assert not capture(wrapped("nllb"), SOURCE, target_language="eng_Latn").notes

    class Config:
        forced_bos_token_id = tokenizer.convert_tokens_to_ids("deu_Latn")

    spoken = spoken_by(tokenizer, Config)
    assert spoken.chosen(None, None) == Languages("eng_Latn", "deu_Latn")
    assert spoken.chosen("fra_Latn", None) == Languages("fra_Latn", "deu_Latn")
    assert wrapped("nllb").languages("fra_Latn") == Languages("fra_Latn", "fra_Latn")


@pytest.mark.parametrize(
    ("name", "asked", "near"),
    [
        ("nllb", "deu", "deu_Latn"),
        ("m2m100", "dee", "de"),
        ("mbart", "de", "de_DE"),
        ("plbart", "pyhton", "__python__"),
    ],
)
def test_an_unknown_language_is_refused_with_near_ones_named(name, asked, near, wrapped):
    model = wrapped(name)
    with pytest.raises(CaptureError, match=f"“{asked}” is none of the {len(model.spoken.codes)} .* Near it .*{near}"):
        capture(model, SOURCE, target_language=asked)
    with pytest.raises(CaptureError, match=near):
        capture(model, SOURCE, source_language=asked)
    with pytest.raises(GenerationError, match=near):
        continue_text(model, SOURCE, target_language=asked)


def test_a_model_without_languages_refuses_one():
    with pytest.raises(CaptureError, match=r"bart is told no language: “de” cannot be chosen\."):
        capture(tiny.family("bart"), tiny.SENTENCE, target_language="de")
    with pytest.raises(CaptureError, match="told no language"):
        capture(tiny.family("bert"), tiny.SENTENCE, source_language="de")


def test_a_language_may_be_named_without_its_frame(wrapped):
    assert wrapped("seamless").languages("eng", "CMN_hant") == Languages("__eng__", "__cmn_Hant__")
    assert wrapped("plbart").languages("Python", "en-XX") == Languages("__python__", "__en_XX__")
