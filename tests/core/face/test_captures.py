"""Many texts, token ids, what a model writes: and what is given by mistake."""

import numpy as np
import pytest
import torch

from attention_core import ModelError, capture, capture_batch, capture_generation, capture_ids, head_scores, load_model
from tests.core.reading.test_readout import speaking
from tests.support import tiny

TEXTS = ["the cat", "a dog ran far away", "the mat"]


@pytest.fixture(scope="module")
def llama():
    return tiny.family("llama")


def test_a_batch_is_the_texts_one_by_one(llama):
    seen = []
    traces = capture_batch(llama, TEXTS, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    for text, trace in zip(TEXTS, traces, strict=True):
        assert trace.text == text and not any(token.piece == "[PAD]" for token in trace.tokens)
        assert torch.equal(trace.weights(1, 4), capture(llama, text).weights(1, 4))


def test_a_batch_draws_a_bar_unless_it_is_told_not_to(llama, capsys):
    capture_batch(llama, TEXTS[:1])
    assert "1/1" in capsys.readouterr().err
    capture_batch(llama, TEXTS[:1], progress=False)
    assert capsys.readouterr().err == ""


def test_a_batch_takes_pairs_targets_and_rows_of_ids(llama):
    bert, t5 = tiny.family("bert"), tiny.family("t5")
    assert capture_batch(bert, [("the cat", "a dog")], progress=False)[0].pair == "a dog"
    translated = capture_batch(t5, TEXTS[:2], targets=["the dog", None], progress=False)
    assert [trace.target for trace in translated] == ["the dog", ""]
    rows = torch.randint(5, 20, (3, 7), generator=torch.Generator().manual_seed(1))
    traces = capture_batch(llama, rows.repeat(1, 2), progress=False)
    assert [[token.id for token in trace.tokens] for trace in traces] == rows.repeat(1, 2).tolist()
    induction = sum(head_scores(trace).to_pandas()["induction"] for trace in traces) / len(traces)
    assert induction.shape == (12,) and induction.index.names == ["layer", "head"]


def test_a_pandas_table_has_the_scores(llama):
    scores = head_scores(capture(llama, tiny.SENTENCE))
    table = scores.to_pandas()
    assert table.loc[(1, 4), "entropy"] == scores.of(1, 4)["entropy"]
    assert np.isnan(table["next"]).all()  # of a causal model


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_each_written_token_has_the_attention_that_it_was_written_with(name):
    """Beside transformers' own generation, which returns the weights of each step."""
    model = speaking(name)
    written = capture_generation(model, "the cat sat on", 5)
    whole = model.head.whole
    ids = torch.tensor([[token.id for token in written.trace.tokens[: written.n_given]]])
    whole.set_attn_implementation("eager")
    with torch.no_grad():
        theirs = whole.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=len(written.added),
            min_new_tokens=len(written.added),
            do_sample=False,
            output_attentions=True,
            return_dict_in_generate=True,
        )
    assert theirs.sequences[0, written.n_given :].tolist() == [choice.id for choice in written.added]
    for layer, step in ((0, 0), (1, 2), (1, len(written.added) - 1)):
        expected = theirs.attentions[step][layer][0, :, -1]
        ours = written.weights(layer, None)[:, step]
        torch.testing.assert_close(ours[:, : expected.shape[-1]], expected, atol=1e-5, rtol=0)  # float32
        assert not bool(ours[:, expected.shape[-1] :].any())


def test_an_encoder_decoder_writes_with_cross_attention():
    model = speaking("bart")
    written = capture_generation(model, "the cat sat", 4)
    assert [token.id for token in written.trace.target_tokens[written.n_given :]] == [one.id for one in written.added]
    n = len(written.added)
    assert written.weights(0, 1, kind="cross").shape == (n, len(written.trace.source_tokens))
    assert written.weights("decoder 0", 1).shape == (n, len(written.trace.target_tokens))
    with pytest.raises(ValueError, match="the encoder writes nothing"):
        written.weights(0, 0, kind="encoder")


@pytest.mark.parametrize("ids", [[5, 6, 7], torch.tensor([5, 6, 7]), torch.tensor([[5, 6, 7]]), np.array([5, 6, 7])])
def test_ids_come_as_people_have_them(llama, ids):
    assert [token.id for token in capture_ids(llama, ids).tokens] == [5, 6, 7]


def test_a_card_is_found_whatever_its_capitals():
    assert load_model("MiniLM").facts.n_layers == 6


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("minlm", '"minilm"'),
        ("./minilm", '"minilm"'),
        ("gpt-2", '"gpt2"'),
        ("google-bert/bert-base-uncasd", '"bert-base"'),
    ],
)
def test_a_mistyped_name_says_which_cards_are_near(name, near):
    with pytest.raises(ModelError, match=f"Is it .*{near}"):
        load_model(name)


def test_a_name_like_none_is_given_no_card():
    with pytest.raises(ModelError) as said:
        load_model("xyzzy-quux")
    assert "Is it" not in str(said.value)


@pytest.mark.parametrize(
    ("asked", "dtype"),
    [
        ("fp16", torch.float16),
        ("bf16", torch.bfloat16),
        ("half", torch.float16),
        (torch.bfloat16, torch.bfloat16),
        ("auto", None),
    ],
)
def test_a_precision_has_its_usual_names(asked, dtype):
    stored = load_model("storyteller", dtype="stored").dtype
    assert load_model("storyteller", dtype=asked).dtype == (dtype or stored)


@pytest.mark.parametrize("asked", ["int8", "float8"])
def test_another_precision_is_refused_with_those_there_are(asked):
    with pytest.raises(ModelError, match="one of float32, bfloat16, float16, stored; got"):
        load_model("storyteller", dtype=asked)
