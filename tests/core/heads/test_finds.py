"""Finds in a text: what beats its null is found, and nothing else."""

import pytest
import torch

from attention_core import capture, load_model, trace_from_attention
from attention_core.capturing.capture import capture_ids
from attention_core.heads import finds as module
from attention_core.heads.finds import LEAST, MARGIN, MOST_TOKENS, N_CONTROLS, finds
from attention_core.heads.scores import Stopped
from tests.support import tiny

WORDS = [f"w{i}" for i in range(23)]
DEFAULT = "The animal didn't cross the street because it was too tired."


def given(*heads: torch.Tensor):
    """A trace of one layer with these heads' weights and no model."""
    return trace_from_attention((torch.stack(heads)[None],), tokens=WORDS)


def noise(seed: int, sharpness: float = 2.0) -> torch.Tensor:
    scores = sharpness * torch.randn(len(WORDS), len(WORDS), generator=torch.Generator().manual_seed(seed))
    return scores.softmax(dim=-1)


def stepping(step: int, share: float) -> torch.Tensor:
    """A head that gives `share` to the token `step` places away where there is one, and spreads the rest."""
    n = len(WORDS)
    weights = torch.full((n, n), 1 / n)
    for query in range(n):
        if 0 <= query + step < n:
            weights[query] = (1 - share) / n
            weights[query, query + step] += share
    return weights


@pytest.fixture(scope="module")
def minilm():
    return load_model("minilm")


def test_a_head_that_looks_one_back_is_found_among_noise_and_named_by_its_place():
    found = finds(given(noise(0), noise(1), stepping(-1, 0.8), noise(2), stepping(1, 0.6)))
    assert [(find.kind, find.layer, find.head, find.query) for find in found] == [("back", 0, 2, None)]
    assert found[0].score == pytest.approx(0.8, abs=0.05)
    assert found[0].score - found[0].null >= MARGIN


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("sharpness", [0.0, 2.0, 6.0])
def test_random_patterns_have_no_finds(seed: int, sharpness: float):
    """Even, soft and nearly one-hot rows: eight heads that look anywhere."""
    assert finds(given(*(noise(100 * seed + head, sharpness) for head in range(8)))) == ()


def test_a_head_of_another_distance_is_no_habit_of_the_previous_token():
    assert finds(given(stepping(-3, 0.9), noise(3))) == ()


def test_what_the_gallery_says_of_the_default_sentence_is_found_and_its_null_is_the_controls(minilm):
    trace = capture(minilm, DEFAULT)
    link = next(find for find in finds(trace) if find.kind == "link")
    assert (link.layer, link.head) == (3, 1)
    assert [trace.source_tokens[place].text for place in (link.query, link.key)] == ["it", "animal"]
    assert link.score == pytest.approx(trace.weights(3, 1)[link.query, link.key].item(), abs=1e-6)
    ids = torch.tensor([token.id for token in trace.source_tokens])
    others = []
    for number in range(N_CONTROLS):
        order = torch.randperm(len(ids) - 2, generator=torch.Generator().manual_seed(module.SEED + number))
        shuffled = torch.cat((ids[:1], ids[1:-1][order], ids[-1:]))
        others.append(capture_ids(minilm, shuffled).layers[3].all_weights()[1, link.query, link.key].item())
    assert link.null >= max(others) - 1e-6
    assert link.score >= LEAST["link"] and link.score - link.null >= MARGIN


def test_a_name_that_comes_again_finds_the_earlier_one(minilm):
    trace = capture(minilm, "John gave a book to Mary, and later John went home.")
    earlier = next(find for find in finds(trace) if find.kind == "earlier")
    assert (earlier.layer, earlier.head) == (2, 9)
    assert [trace.source_tokens[place].text for place in (earlier.query, earlier.key)] == ["john", "john"]
    assert earlier.key < earlier.query


def test_a_link_that_stays_when_other_tokens_stand_there_is_none():
    """A model whose attention asks only for the place gives the same cell the same weight, whatever the tokens."""
    model = tiny.family("bert")
    embeddings = model.model.embeddings
    with torch.no_grad():
        embeddings.word_embeddings.weight.zero_()
        embeddings.position_embeddings.weight.mul_(40)
        for layer in model.model.encoder.layer:
            for part in (layer.attention.self.query, layer.attention.self.key):
                part.weight.mul_(40)
    trace = capture(model, "the cat sat on a mat then a dog ran far away")
    strongest = max(trace.weights(0, head)[1:-1, 1:-1].max().item() for head in range(trace.layers[0].n_heads))
    assert strongest >= LEAST["link"]  # there is something that would be found without a null
    assert [find for find in finds(trace) if find.kind in ("link", "earlier")] == []


def test_a_long_text_and_one_of_a_single_word_have_none(minilm):
    assert finds(capture(minilm, "Hello")) == ()
    assert finds(capture(minilm, "word " * MOST_TOKENS)) == ()


def test_it_stops_between_forward_passes(minilm):
    asked = []
    with pytest.raises(Stopped):
        finds(capture(minilm, DEFAULT), stop=lambda: len(asked) == 2 or bool(asked.append(1)))
    assert len(asked) == 2
