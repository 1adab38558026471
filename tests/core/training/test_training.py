"""Tasks, the training loop, what is measured of heads, and the trigram baseline."""

import math

import pytest
import torch
from torch import nn

from attention_core.training.loop import (
    Batch,
    Schedule,
    generator_of,
    induction_weight,
    make_optimizers,
    mean_loss,
    previous_token_weight,
    repeated_once,
    repeated_pairs,
    repeating,
    text_blocks,
    token_losses,
    train,
)
from attention_core.training.trigram import KneserNeyTrigram


def attention(*shape: int) -> torch.Tensor:
    """Random causal weights: rows sum to 1, nothing above the diagonal."""
    scores = torch.randn(*shape, generator=torch.Generator().manual_seed(3))
    return scores.masked_fill(~torch.ones(shape[-2:], dtype=torch.bool).tril(), -math.inf).softmax(dim=-1)


class Bigram(nn.Module):
    """The smallest model there is: a row of logits for each token, which knows the one before and nothing else."""

    def __init__(self, d_vocab: int) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.table = nn.Embedding(d_vocab, 7)
        self.out = nn.Linear(7, d_vocab)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.out(self.table(tokens))


def counting(step: int) -> Batch:
    """0 1 2 3 4 0 1 … from a random start: the next token follows from the one before."""
    starts = torch.randint(5, (3, 1), generator=generator_of(0, step))
    tokens = (starts + torch.arange(11)) % 5
    return Batch(tokens, (torch.arange(11) > 0).expand(3, -1))


def test_the_scored_half_of_a_repeated_row_equals_the_first():
    batch = repeated_once(3, 7, 11, generator_of(0, 0))
    assert batch.tokens.shape == (3, 14)
    assert torch.equal(batch.tokens[:, :7], batch.tokens[:, 7:])
    assert batch.scored.sum(dim=1).tolist() == [7] * 3


def test_repeating_rows_have_their_period_and_score_what_was_there_before():
    batch = repeating(3, 23, 5, 97, generator_of(0, 0))
    assert batch.tokens.shape == (3, 23)
    assert torch.equal(batch.tokens[:, 5:], batch.tokens[:, :-5])
    assert batch.scored[0].nonzero().flatten().tolist() == list(range(11, 23))
    with pytest.raises(ValueError, match="between 1 and half a row of 8; it is 5"):
        repeating(1, 8, 5, 97, generator_of(0, 0))


@pytest.mark.parametrize("seed", range(5))
def test_every_scored_token_of_repeated_pairs_stands_in_a_copy(seed: int):
    """Some earlier stretch ends in the same two tokens: the one before and this one."""
    batch = repeated_pairs(5, 43, 1009, generator_of(seed, 0), shortest=3, longest=13)
    assert batch.scored.any(dim=1).all() and not batch.scored[:, 0].any()
    for tokens, scored in zip(batch.tokens.tolist(), batch.scored.tolist(), strict=True):
        for at in (i for i, counts in enumerate(scored) if counts):
            assert any(tokens[i : i + 2] == tokens[at - 1 : at + 1] for i in range(at - 1))


def test_repeated_pairs_refuse_stretches_that_do_not_fit():
    with pytest.raises(ValueError, match=r"between 2 and half a row of 10; asked for 4 to 6"):
        repeated_pairs(1, 10, 5, generator_of(0, 0), longest=6)


def test_blocks_of_a_text_are_stretches_of_it():
    batch = text_blocks(torch.arange(101), 5, 7, generator_of(0, 0))
    assert (batch.tokens.diff(dim=1) == 1).all() and not batch.scored[:, 0].any() and batch.scored[:, 1:].all()
    with pytest.raises(ValueError, match="at least one block of 7 tokens; it has 5"):
        text_blocks(torch.arange(5), 1, 7, generator_of(0, 0))


def test_a_step_has_the_same_random_numbers_whatever_came_before():
    first, again, other = (repeated_pairs(3, 20, 97, generator_of(2, step)) for step in (11, 11, 12))
    assert torch.equal(first.tokens, again.tokens) and not torch.equal(first.tokens, other.tokens)


def test_surprise_under_even_logits_is_the_logarithm_of_the_vocabulary():
    tokens = torch.randint(7, (3, 5))
    torch.testing.assert_close(token_losses(torch.zeros(3, 5, 7), tokens), torch.full((3, 4), math.log(7)))


def test_mean_loss_counts_the_scored_tokens_only():
    """Logits that are sure of token 0: right at the scored place (loss 0), wrong at all others."""
    logits = torch.zeros(1, 5, 7)
    logits[..., 0] = 100
    scored = torch.tensor([[False, False, True, False, False]])
    assert mean_loss(logits, Batch(torch.tensor([[3, 4, 0, 5, 6]]), scored)) == 0


def test_loss_agrees_with_transformers():
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=11, hidden_size=12, intermediate_size=13, num_hidden_layers=1, num_attention_heads=3
    )
    model, tokens = LlamaForCausalLM(config).eval(), torch.randint(11, (3, 5))
    batch = Batch(tokens, (torch.arange(5) > 0).expand(3, -1))
    torch.testing.assert_close(mean_loss(model(tokens).logits, batch), model(tokens, labels=tokens).loss)


def test_the_learning_rate_goes_in_straight_lines_from_point_to_point():
    schedule = Schedule(((0, 0.0), (4, 1.0), (10, 1.0), (20, 0.0)))
    assert schedule.n_steps == 20
    assert [schedule.factor(step) for step in (0, 1, 4, 9, 15, 20)] == [0.01, 0.25, 1, 1, 0.5, 0.01]


def test_a_trapezoid_rises_stays_and_falls():
    schedule = Schedule.trapezoid(100, warmup=10, cooldown=0.2)
    found = [schedule.factor(step) for step in (0, 4, 9, 50, 80, 90, 99)]
    assert found == pytest.approx([0.1, 0.5, 1, 1, 1, 0.5, 0.05])
    assert Schedule.trapezoid(1).factor(0) == 1


def test_previous_token_weight_of_three_tokens_by_hand():
    """Queries 1 and 2 put 0.25 and 0.75 on the token before: mean 0.5."""
    weights = torch.tensor([[1.0, 0.0, 0.0], [0.25, 0.75, 0.0], [0.05, 0.75, 0.2]])
    assert previous_token_weight(weights) == 0.5


def test_induction_weight_is_one_for_a_head_that_only_does_that():
    """Stretch of 5: query 5 looks at key 1, query 9 at key 5. Other rows look at themselves."""
    weights = torch.eye(10)
    for query in range(5, 10):
        weights[query] = torch.nn.functional.one_hot(torch.tensor(query - 4), 10)
    assert induction_weight(weights, 5) == 1
    assert induction_weight(torch.eye(10), 5) == 0
    with pytest.raises(ValueError, match="at least 2; it is 1"):
        induction_weight(torch.eye(2), 1)


def test_head_weights_agree_with_loops_over_all_heads():
    weights, period = attention(2, 3, 14, 14), 7
    for layer in range(2):
        for head in range(3):
            matrix = weights[layer, head]
            before = sum(matrix[t, t - 1] for t in range(1, 14)) / 13
            again = sum(matrix[t, t - period + 1] for t in range(period, 14)) / period
            torch.testing.assert_close(previous_token_weight(weights)[layer, head], before)
            torch.testing.assert_close(induction_weight(weights, period)[layer, head], again)


def test_training_learns_what_can_be_learned_and_reports_its_steps():
    model = Bigram(5)
    optimizers = make_optimizers(model, matrix_rate=0.05, other_rate=0.05)
    reports = list(train(model, counting, Schedule.trapezoid(60, warmup=5), optimizers=optimizers, report_every=25))
    assert [report.step for report in reports] == [0, 25, 50, 60]
    assert [report.finished for report in reports] == [False, False, False, True]
    assert math.isnan(reports[0].loss) and reports[-1].loss < 0.1 < reports[1].loss


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been():
    schedule = Schedule.trapezoid(20, warmup=3)
    whole = Bigram(5)
    list(train(whole, counting, schedule, optimizers=make_optimizers(whole)))
    parts = Bigram(5)
    first = make_optimizers(parts)
    for report in train(parts, counting, schedule, optimizers=first, report_every=7):
        if report.step == 7:
            break
    second = make_optimizers(parts)
    for old, new in zip(first, second, strict=True):
        new.load_state_dict(old.state_dict())
    list(train(parts, counting, schedule, optimizers=second, first_step=7))
    for expected, found in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.equal(expected, found)


def test_training_stops_when_its_time_is_over():
    reports = list(train(Bigram(5), counting, Schedule.trapezoid(10**6), seconds=0.0))
    assert [report.step for report in reports] == [0, 1] and reports[-1].finished


def test_matrices_in_layers_go_to_muon_and_everything_else_to_adamw():
    model = Bigram(5)
    adamw, muon = make_optimizers(model)
    assert [id(p) for p in muon.param_groups[0]["params"]] == [id(model.out.weight)]
    assert {id(p) for p in adamw.param_groups[0]["params"]} == {id(model.table.weight), id(model.out.bias)}


def test_trigram_of_a_short_text_by_hand():
    """a b a b a c: trigrams aba ×2, bab ×1, bac ×1. Vocabulary of 3: a = 0, b = 1, c = 2.

    Discounts n₁ ÷ (n₁ + 2 n₂): trigrams 2 ÷ (2 + 2) = ½. Bigram types after different tokens: ba 1 (from a), ab 1,
    ac 1: n₁ = 3, n₂ = 0, so 1: nothing is kept of them. Unigram types after different tokens: a 1, b 1, c 1, also 1.
    So both lower orders are even, 1 ÷ 3, and p(c | b a) = (1 − ½) ÷ 2 + ½ · 2 ÷ 2 · 1 ÷ 3 = ¼ + 1 ÷ 6.
    """
    trigram = KneserNeyTrigram(torch.tensor([0, 1, 0, 1, 0, 2]), 3)
    found = trigram.probability(torch.tensor([[1, 0, 2], [1, 0, 1], [1, 0, 0]]))
    torch.testing.assert_close(found, torch.tensor([5 / 12, 5 / 12, 1 / 6], dtype=torch.float64))


def test_trigram_probabilities_sum_to_one_after_any_two_tokens():
    text = torch.randint(7, (200,), generator=generator_of(1, 0))
    trigram = KneserNeyTrigram(text, 11)  # four tokens never occur
    for first in range(11):
        for second in range(11):
            grams = torch.tensor([[first, second, third] for third in range(11)])
            probabilities = trigram.probability(grams)
            assert (probabilities > 0).all()
            torch.testing.assert_close(probabilities.sum(), torch.tensor(1.0, dtype=torch.float64))


def test_trigram_knows_its_own_text_better_than_another():
    text = torch.randint(5, (300,), generator=generator_of(1, 0)).cumsum(0) % 7
    other = torch.randint(7, (300,), generator=generator_of(2, 0))
    trigram = KneserNeyTrigram(text, 7)
    assert trigram.losses(text).mean() < trigram.losses(other).mean()
    assert len(trigram.losses(text)) == 298
