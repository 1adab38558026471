"""Every head at once: as one tensor, by blocks, as transformers returns it, in one file."""

import io

import numpy as np
import pytest
import torch

from attention_core import capture
from attention_core.pictures import all_heads
from attention_core.pictures.files import EXPORTS
from attention_core.reading.reading import Reading
from tests.support import tiny


@pytest.fixture(scope="module")
def translated():
    return capture(tiny.family("bart"), tiny.SENTENCE, target="the dog slept")


@pytest.fixture(scope="module")
def windowed():
    return capture(tiny.family("mistral"), tiny.SENTENCE)


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)  # float32, another order of sums


def test_a_kind_is_one_tensor_and_so_is_a_layer(translated, windowed):
    assert translated.attention(kind="cross").shape == (1, 3, 5, 12)
    assert translated.attention(kind="encoder self").shape == (2, 3, 12, 12)
    assert windowed.attention(1).shape == (6, 12, 12)
    close(windowed.attention()[1, 4], windowed.weights(1, 4))


def test_blocks_put_together_are_the_whole(windowed):
    blocks = list(windowed.attention_blocks(n_rows=5))
    assert [rows for rows, _ in blocks] == [slice(0, 5), slice(5, 10), slice(10, 12)]
    close(torch.cat([block for _, block in blocks], dim=-2), windowed.attention())
    with pytest.raises(ValueError, match="at least one row"):
        next(windowed.attention_blocks(n_rows=0))


def test_what_does_not_fit_in_memory_is_refused_with_the_way_by_blocks(windowed, monkeypatch):
    monkeypatch.setattr(all_heads, "free_memory_bytes", lambda: 4 * 12 * 12 * 12)
    with pytest.raises(ValueError, match="attention_blocks"):
        windowed.attention()
    assert windowed.attention(rows=slice(0, 2)).shape == (2, 6, 2, 12)


@pytest.mark.parametrize("name", ["bert", "gpt2", "bloom", "mistral"])
def test_attentions_are_those_that_transformers_returns(name):
    model = tiny.bare(name)
    tokenizer = tiny.tokenizer()
    model.set_attn_implementation("eager")
    with torch.no_grad():
        theirs = model(
            **{"input_ids": tokenizer(tiny.SENTENCE, return_tensors="pt")["input_ids"]}, output_attentions=True
        )
    ours = capture(tiny.family(name), tiny.SENTENCE).attentions
    assert len(ours) == len(theirs.attentions)
    for one, other in zip(ours, theirs.attentions, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)  # float32, from two runs


def test_an_encoder_decoder_has_transformers_three_fields(translated):
    model = tiny.bare("bart")
    model.set_attn_implementation("eager")
    ids, target = ([[token.id for token in side]] for side in (translated.source_tokens, translated.target_tokens))
    with torch.no_grad():
        theirs = model(input_ids=torch.tensor(ids), decoder_input_ids=torch.tensor(target), output_attentions=True)
    for field in ("encoder_attentions", "decoder_attentions", "cross_attentions"):
        for one, other in zip(getattr(translated, field), getattr(theirs, field), strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=0)  # float32, from two runs
    assert not hasattr(translated, "attentions") and not hasattr(theirs, "attentions")


def test_one_side_has_no_fields_of_two(windowed):
    for field in ("encoder_attentions", "decoder_attentions", "cross_attentions"):
        with pytest.raises(AttributeError, match="it has attentions"):
            getattr(windowed, field)


def opened(trace):
    file = io.BytesIO()
    trace.save_npz(file)
    return np.load(io.BytesIO(file.getvalue()), allow_pickle=False)


def test_all_heads_stand_in_one_file(windowed):
    archive = opened(windowed)
    np.testing.assert_array_equal(archive["attention"], windowed.attention().numpy())
    np.testing.assert_array_equal(archive["allowed"], np.stack([one.allowed().numpy() for one in windowed.layers]))
    assert archive["ids"].tolist() == [token.id for token in windowed.tokens]
    assert archive["tokens"].tolist() == [token.text for token in windowed.tokens]
    assert (str(archive["kind"]), str(archive["text"])) == ("decoder self", tiny.SENTENCE)


def test_the_file_of_an_encoder_decoder_has_its_kinds_apart(translated, tmp_path):
    translated.save_npz(tmp_path / "all.npz")
    archive = np.load(tmp_path / "all.npz", allow_pickle=False)
    for kind, name in (("cross", "cross"), ("encoder self", "encoder"), ("decoder self", "decoder")):
        np.testing.assert_array_equal(archive[f"{name}_attention"], translated.attention(kind=kind).numpy())
    assert archive["decoder_ids"].tolist() == [token.id for token in translated.target_tokens]
    assert "decoder_allowed" in archive and "cross_allowed" not in archive and "attention" not in archive


def test_the_file_of_one_head_has_ids_and_numbers(translated):
    place = next(n for n, layer in enumerate(translated.layers) if layer.kind == "cross")
    data = EXPORTS["weights.npz"][1](translated, Reading(hide_special=True), place, 2)
    archive = np.load(io.BytesIO(data), allow_pickle=False)
    assert archive["layer"].dtype.kind == archive["head"].dtype.kind == "i"
    assert (int(archive["layer"]), int(archive["head"]), str(archive["kind"])) == (place, 2, "cross")
    own = [token.id for token in translated.source_tokens if not token.special]
    assert archive["key_id"].tolist() == own
    assert len(archive["query_id"]) == archive["weights"].shape[0]
