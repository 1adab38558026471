"""Every metric of every head: cases by hand, an independent formulation for each, and the same numbers in blocks."""

import math
from dataclasses import replace

import numpy
import pytest
import torch

from attention_core import capture
from attention_core.formula.metrics import adjusted_share, correlation, offset_sums
from attention_core.heads import scores as head_metrics
from attention_core.heads.scores import METRICS, Stopped, head_scores
from attention_core.models.facts import ModelFacts
from attention_core.models.loading import load_model
from attention_core.record.layers import WeightsOnly
from attention_core.text.marks import is_punctuation, rarest
from attention_core.text.tokens import Token
from attention_core.trace import Trace
from tests.commands.benchmarks.capture import peak_bytes
from tests.commands.benchmarks.texts import text_of
from tests.support.plain_numbers import contribution_vectors
from tests.support.tiny import SENTENCE, family

FACTS = ModelFacts("hand", "hand", "Hand", 1, 1, 1, 1, 1, 1, None, "", False)


def tokens_of(words: str, specials: str = "") -> tuple[Token, ...]:
    """One token per word, its number in the vocabulary by its first letter: a = 0, b = 1 …, signs 50."""
    return tuple(
        Token(word, ord(word[0]) - ord("a") if word[0].isalpha() else 50, (0, 0), word in specials.split(), word, i)
        for i, word in enumerate(words.split())
    )


def hand_trace(weights: list[list[float]] | torch.Tensor, words: str, specials: str = "", kind="encoder self") -> Trace:
    given = torch.as_tensor(weights, dtype=torch.float32)
    given = given[None] if given.dim() == 2 else given
    tokens = tokens_of(words, specials)
    return Trace(FACTS, words, None, None, tokens, (), (WeightsOnly(kind, 0, given),))


def test_a_case_worked_by_hand():
    """Tokens a b a c. Rows: a reads b; b reads the first a; the second a half b (what followed the first a), half the
    first a; c reads itself.

    previous: (b→a 1 + a→b ½ + c→a 0)/3 = ½. next: (1 + 0 + 0)/3. same: ¼. first, by b, a, c: (1 + ½ + 0)/3 = ½.
    induction, by the second a alone: ½. duplicate, by both a: (0 + ½)/2. entropy: only the third row has 1 bit: ¼.
    reach: (1 + 1 + ½·1 + ½·2 + 0)/4 = 3.5/4. rare: c is the rarest of 4; a, b and a give it nothing.
    """
    trace = hand_trace([[0, 1, 0, 0], [1, 0, 0, 0], [0.5, 0.5, 0, 0], [0, 0, 0, 1]], "a b a c")
    found = head_scores(trace).of(0, 0)
    by_hand = {
        "previous": 1 / 2,
        "next": 1 / 3,
        "same": 1 / 4,
        "first": 1 / 2,
        "separator": None,
        "punctuation": None,
        "induction": 1 / 2,
        "duplicate": 1 / 4,
        "rare": 0.0,
        "entropy": 1 / 4,
        "reach": 3.5 / 4,
    }
    assert {name: found[name] for name in by_hand} == pytest.approx(by_hand)


def test_marks_count_special_punctuation_and_rare_tokens_but_never_a_look_at_itself():
    """S a , z E: E is a separator and no rare word; the comma reads itself, which counts for nothing."""
    rows = [[0, 0, 0.25, 0.5, 0.25]] * 2 + [[0, 0, 1, 0, 0]] + [[0, 0, 0.5, 0.25, 0.25], [0, 0, 0, 1, 0]]
    found = head_scores(hand_trace(rows, "S a , z E", specials="S E")).of(0, 0)
    assert found["separator"] == pytest.approx((0.25 + 0.25 + 0 + 0.25) / 4)
    assert found["punctuation"] == pytest.approx((0.25 + 0.25 + 0.5 + 0) / 4)


def test_rare_words_worked_by_hand():
    """a z b z: z is the rarest, at two places. By row: a gives them ½ + ¼; the first z ¼ to the other; b ¾ to both;
    the second z ½ to the first."""
    rows = [[0, 0.5, 0.25, 0.25], [0.25, 0.25, 0.25, 0.25], [0.25, 0.5, 0, 0.25], [0.25, 0.5, 0, 0.25]]
    found = head_scores(hand_trace(rows, "a z b z")).of(0, 0)
    assert found["rare"] == pytest.approx((0.75 + 0.25 + 0.75 + 0.5) / 4)


def test_punctuation_is_seen_through_blanks_and_never_in_special_tokens():
    assert [is_punctuation(Token(t, 1, (0, 1), s, t, 0)) for t, s in ((",", False), ("·.", False), ("</s>", True))] == [
        True,
        True,
        False,
    ]
    assert not is_punctuation(Token("·", 1, (0, 1), False, "·", 0))


def test_the_rarest_tenth_has_at_least_one_token_and_equal_ones_go_together():
    special = torch.tensor([True, False, False, False])
    assert rarest(torch.tensor([99, 3, 7, 7]), special).tolist() == [False, False, True, True]
    assert rarest(torch.tensor([99]), torch.tensor([True])).tolist() == [False]
    assert int(rarest(torch.arange(31), torch.zeros(31, dtype=torch.bool)).sum()) == 4  # 3.1 tokens, rounded up


def test_the_first_token_counts_the_queries_that_its_definition_names():
    """Self-attention leaves the first query out, ½; in cross-attention it is a token of another text, (1 + ½)/2."""
    weights = [[1, 0], [0.5, 0.5]]
    assert head_scores(hand_trace(weights, "a b")).of(0, 0)["first"] == pytest.approx(0.5)
    assert head_scores(hand_trace(weights, "a b", kind="cross")).of(0, 0)["first"] == pytest.approx(0.75)
    definition = next(metric.definition for metric in METRICS if metric.id == "first")
    assert "averaged over the queries that may read it" in definition
    assert "in self-attention without the first token's own" in definition


def test_a_diagonal_head_is_positional_and_runs_along_the_text():
    found = head_scores(hand_trace(torch.eye(7), "a b c d e f g")).of(0, 0)
    assert found["positional"] == pytest.approx(1) and found["diagonal"] == pytest.approx(1)
    backwards = head_scores(hand_trace(torch.eye(7).flip(0), "a b c d e f g")).of(0, 0)
    assert backwards["diagonal"] == pytest.approx(-1) and backwards["positional"] < 0.2


def test_diagonal_sums_and_their_variance_agree_with_a_loop():
    cells = torch.rand(3, 5, 7)
    sums = offset_sums(cells)
    expected = [[sum(cells[h].diagonal(d).tolist()) for d in range(-4, 7)] for h in range(3)]
    torch.testing.assert_close(sums, torch.tensor(expected, dtype=torch.float64))
    counts = torch.tensor([len(cells[0].diagonal(d)) for d in range(-4, 7)], dtype=torch.float64)
    got = adjusted_share(sums, counts, cells.double().square().sum(dim=(-2, -1)))
    distance = torch.arange(7) - torch.arange(5)[:, None]
    for h in range(3):
        fitted = torch.stack([cells[h][distance == d].mean() for d in distance.flatten().tolist()]).view(5, 7)
        share = 1 - (cells[h] - fitted).square().sum() / (cells[h] - cells[h].mean()).square().sum()
        assert got[h].item() == pytest.approx(1 - (1 - share.item()) * 34 / (35 - 11), abs=1e-5)


def test_correlation_agrees_with_torch_on_a_table_of_counts():
    table = torch.tensor([[3, 1, 0], [2, 2, 5]])
    pairs = [(i, j) for i in range(2) for j in range(3) for _ in range(int(table[i, j]))]
    x, y = torch.tensor(pairs, dtype=torch.float64).T
    moments = torch.stack([torch.ones_like(x).sum(), x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum()])
    assert correlation(moments).item() == pytest.approx(torch.corrcoef(torch.stack((x, y)))[0, 1].item())


def loop(trace: Trace, layer: int, head: int) -> dict[str, float | None]:
    """Every metric by plain loops over cells; the definitions once more, and nothing shared with the module."""
    w, allowed = trace.weights(layer, head).double(), trace.layers[layer].allowed(head)
    tokens, (n, m) = trace.key_tokens(layer), w.shape
    cross = trace.layers[layer].kind == "cross"
    cells = [(i, j) for i in range(n) for j in range(m) if allowed is None or allowed[i, j]]
    plain = sorted((t.id for t in tokens if not t.special), reverse=True)
    least = plain[math.ceil(0.1 * len(plain)) - 1]
    elsewhere = lambda i: [j for j in range(m) if cross or j != i]  # noqa: E731  # two texts have no place in common
    keys = {
        "first": lambda i: [j for j in elsewhere(i) if j == 0],
        "separator": lambda i: [j for j in elsewhere(i) if j and tokens[j].special],
        "punctuation": lambda i: [j for j in elsewhere(i) if tokens[j].text in ",."],
        "rare": lambda i: [j for j in elsewhere(i) if tokens[j].id >= least and not tokens[j].special],
    }
    if not cross:
        keys |= {
            "previous": lambda i: [i - 1] if i else [],
            "next": lambda i: [i + 1] if i + 1 < n else [],
            "same": lambda i: [i],
            "duplicate": lambda i: [j for j in elsewhere(i) if tokens[j].id == tokens[i].id],
            "induction": lambda i: [j + 1 for j in range(i - 1) if tokens[j].id == tokens[i].id],
        }
    found: dict[str, float | None] = dict.fromkeys(metric.id for metric in METRICS)
    for name, of in keys.items():
        rows = [[w[i, j].item() for j in of(i) if (i, j) in cells] for i in range(n)]
        rows = [row for row in rows if row]
        found[name] = sum(map(sum, rows)) / len(rows) if rows else None
    found["entropy"] = sum(-sum(x * math.log2(x) for x in row if x > 0) for row in w.tolist()) / n
    found["diagonal"] = _weighted_correlation([(i, j, w[i, j].item()) for i, j in cells])
    if not cross:
        found["reach"] = sum(w[i, j].item() * abs(i - j) for i in range(n) for j in range(m)) / n
        found["positional"] = _explained_by_distance({(i, j): w[i, j].item() for i, j in cells})
    return found


def _weighted_correlation(cells: list[tuple[int, int, float]]) -> float:
    x, y, weight = numpy.array(cells).T
    ((xx, xy), (_, yy)) = numpy.cov(x, y, aweights=weight)
    return xy / math.sqrt(xx * yy)


def _explained_by_distance(cells: dict[tuple[int, int], float]) -> float:
    """Adjusted R² of a regression on one indicator per distance, by least squares."""
    distances = sorted({j - i for i, j in cells})
    indicators = numpy.array([[j - i == distance for distance in distances] for i, j in cells], dtype=float)
    y, n = numpy.array(list(cells.values())), len(cells)
    fitted = indicators @ numpy.linalg.lstsq(indicators, y, rcond=None)[0]
    share = 1 - ((y - fitted) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    return 1 - (1 - share) * (n - 1) / (n - len(distances))


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "mistral", "gemma2", "bloom", "t5", "bart"])
def test_every_metric_agrees_with_another_formulation(name: str):
    """Encoders, causal and windowed masks, grouped heads, weights alone, encoder, decoder and cross-attention."""
    model = family(name)
    trace = capture(model, SENTENCE, target="the dog, tired, ran" if model.facts.encoder_decoder else None)
    scores = head_scores(trace)
    for layer, head in scores.heads:
        expected, found = loop(trace, layer, head), scores.of(layer, head)
        known = {name: value for name, value in found.items() if value is not None}
        # Float32; variances of small weights lose three digits.
        wanted = {name: value for name, value in expected.items() if value is not None}
        assert known == pytest.approx(wanted, abs=2e-6, rel=1e-4), trace.layers[layer].label


def test_cross_attention_has_the_metrics_that_mean_something_between_two_texts():
    trace = capture(family("t5"), SENTENCE, target="the dog ran")
    scores = head_scores(trace)
    cross = next(i for i, layer in enumerate(trace.layers) if layer.kind == "cross")
    found = scores.of(cross, 0)
    assert {m.id for m in METRICS if found[m.id] is None and m.cross} <= {"punctuation"}
    assert all(found[m.id] is None for m in METRICS if not m.cross)
    assert scores.profile(cross, 0).isnan().all()


def test_every_metric_lies_in_its_range():
    for name in ("bert", "gpt2", "t5"):
        model = family(name)
        scores = head_scores(capture(model, SENTENCE, target=SENTENCE if model.facts.encoder_decoder else None))
        for metric in METRICS:
            values = [value for value in scores.column(metric.id) if value is not None]
            assert all(value <= (metric.high if metric.high is not None else math.inf) + 1e-6 for value in values)
            if metric.id != "positional":  # adjusted for chance: a little below 0
                assert all(value >= metric.low - 1e-6 for value in values)


def test_even_attention_scores_chance():
    """9 tokens without a mask: every neighbour, the token itself and the first get 1/9, and the spread is log₂ 9 bits;
    there is no variance to explain."""
    scores = head_scores(hand_trace(torch.full((9, 9), 1 / 9), "a b c d e f g h i"))
    for found in (scores.of(0, 0), scores.even_of(0)):
        assert [found[name] for name in ("previous", "next", "same", "first")] == pytest.approx([1 / 9] * 4)
        assert found["entropy"] == pytest.approx(math.log2(9)) and found["positional"] is None
        assert found["diagonal"] == pytest.approx(0, abs=1e-6)


def test_heads_that_look_anywhere_score_chance_in_every_metric():
    """300 heads whose rows are drawn evenly from all rows that sum to 1: each mean is chance within 4 standard errors.

    Chance is what even attention scores; 0 for R², which is adjusted; and Hₙ − 1 nats for the entropy of such a row of
    n weights (Hₙ = 1 + ½ + … + 1/n): less than that of an even one.
    """
    n = 23
    drawn = torch.rand(300, n, n, generator=torch.Generator().manual_seed(5)).clamp_min(1e-12).log().neg()
    scores = head_scores(
        hand_trace(drawn / drawn.sum(dim=-1, keepdim=True), " ".join("SbcdefghijabcdefghiE,,z"), "S E")
    )
    chance = scores.even_of(0) | {"positional": 0.0, "entropy": (sum(1 / k for k in range(1, n + 1)) - 1) / math.log(2)}
    for metric in METRICS:
        values = torch.tensor(scores.column(metric.id))
        expected = chance[metric.id]
        assert expected is not None, metric.id
        assert abs(values.mean() - expected) < 4 * values.std() / math.sqrt(300) + 1e-6, metric.id


def test_the_distance_profile_is_the_mean_of_each_diagonal():
    trace = capture(family("bert"), SENTENCE)
    profile = head_scores(trace).profile(1, 2)
    weights = trace.weights(1, 2)
    for distance in (-3, 0, 5):
        expected = weights.diagonal(distance).mean()
        torch.testing.assert_close(profile[distance + head_metrics.MOST_DISTANCE], expected)
    assert profile[0].isnan()  # nothing is 32 tokens away


@pytest.mark.parametrize("name", ["bert", "gpt2", "t5"])
def test_blocks_of_one_row_give_the_same_numbers(name: str, monkeypatch: pytest.MonkeyPatch):
    model = family(name)
    trace = capture(model, SENTENCE, target=SENTENCE if model.facts.encoder_decoder else None)
    whole = head_scores(trace)
    monkeypatch.setattr(head_metrics, "CELLS_PER_BLOCK", 1)
    rows = head_scores(trace)
    torch.testing.assert_close(rows.values, whole.values, equal_nan=True)
    torch.testing.assert_close(rows.profiles, whole.profiles, equal_nan=True)


@pytest.mark.slow
def test_all_heads_of_minilm_need_at_most_four_layers_of_weights():
    """512 tokens, from the text to the numbers: never all heads' n² at once, which would be six layers alone."""
    model, text = load_model("minilm"), text_of(512)
    layer = 12 * 512 * 512 * 4
    assert peak_bytes(lambda: head_scores(capture(model, text))) <= 4 * layer
    everything = peak_bytes(lambda: [one.all_weights() for one in capture(model, text).layers])
    assert everything > 6 * layer  # the count would see it


def as_shares(trace: Trace) -> Trace:
    """The trace as if its weights were ‖a·v·W_O‖, each row divided by its sum: key by key, from the vectors."""
    layers = []
    for index, layer in enumerate(trace.layers):
        lengths = [contribution_vectors(layer, query).norm(dim=-1) for query in range(layer.n_query)]
        lengths = torch.stack(lengths, dim=1)
        layers.append(WeightsOnly(layer.kind, index, lengths / lengths.sum(dim=-1, keepdim=True)))
    return replace(trace, layers=tuple(layers))


def test_norm_based_metrics_are_the_metrics_of_what_each_key_adds():
    trace = capture(family("bert"), SENTENCE)
    found, expected = head_scores(trace, by_norm=True), head_scores(as_shares(trace))
    torch.testing.assert_close(found.values, expected.values, equal_nan=True, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.profiles, expected.profiles, equal_nan=True, atol=1e-5, rtol=1e-4)
    assert (found.values - head_scores(trace).values).nan_to_num().abs().max() > 0.01
    with pytest.raises(ValueError, match="no norm-based weights: this architecture hides its values"):
        head_scores(capture(family("bloom"), SENTENCE), by_norm=True)


def test_ranking_leaves_out_heads_without_the_metric_and_naming_a_missing_head_is_an_error():
    scores = head_scores(capture(family("gpt2"), SENTENCE))
    assert scores.ranked("next") == ()
    column = scores.column("entropy")
    assert column[scores.heads.index(scores.ranked("entropy")[0])] == max(column)
    with pytest.raises(ValueError, match="no head 9.0"):
        scores.of(9, 0)


def test_it_can_be_stopped_between_layers():
    with pytest.raises(Stopped):
        head_scores(capture(family("gpt2"), SENTENCE), stop=lambda: True)
