"""The recipe of the Storyteller on a tiny scale, and the model that is shipped."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from attention_core import capture
from attention_core.models.loading import load_model
from attention_core.training.__main__ import main
from attention_core.training.storyteller import (
    Recipe,
    best_head,
    block_loss,
    head_figures,
    held_out_losses,
    layer_weights,
    new_model,
    repeating_loss,
    split_text,
    stage_at,
    train_tokenizer,
)

SHIPPED = Path(__file__).resolve().parents[3] / "assets" / "models" / "storyteller"
FIGURES = json.loads((SHIPPED / "figures.json").read_text(encoding="utf-8"))
TALE = "Once upon a time there was a fox. The fox saw a crow, and the crow saw the fox.\n\n" * 60
TINY = Recipe(d_vocab=271, d_model=12, n_layers=2, n_heads=3, d_inner=13, n_tokens=22, n_rows=11, n_steps=3)


class LastToken(nn.Module):
    """Gives every token the probability ½ to be repeated: its surprise depends on the token before alone."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot(tokens, 7).float() * math.log(6)


def test_a_text_is_cut_at_a_blank_line_and_nothing_is_lost():
    seen, unseen = split_text(TALE)
    assert seen + unseen == TALE and seen.endswith(".") and unseen.startswith("\n\n")
    assert 0.04 < len(unseen) / len(TALE) < 0.08


def test_the_tokenizer_spells_any_text():
    tokenizer = train_tokenizer(TALE, 271)
    for text in (TALE, "snowman ☃ naïve 日本\t\x00"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer) == 271


def test_batches_are_the_same_for_a_step_and_follow_the_stages():
    text = torch.arange(271)
    batch_at = TINY.batch_at(text)
    for step in (0, 749, 750, 899, 2000):
        stage = stage_at(step)
        batch = batch_at(step)
        assert batch.tokens.shape == (11, 22)
        assert (batch.tokens[: stage.n_rows] < min(stage.symbols, 271)).all()
        assert (batch.tokens[stage.n_rows :].diff(dim=1) == 1).all()
        assert torch.equal(batch.tokens, batch_at(step).tokens)


def test_every_token_of_a_held_out_text_is_scored_once_and_in_order():
    """The surprise of this model needs one token of context, so that windows must not change it."""
    ids = torch.tensor([0, 0, 1, 1, 1, 2, 3, 3, 0, 5, 5, 6, 0])
    repeats = ids[1:] == ids[:-1]
    expected = torch.where(repeats, math.log(2), math.log(12))  # 6 ÷ (6 + 6) and 1 ÷ (6 + 6)
    for n_tokens in (2, 3, 5, 8, 13, 50):
        torch.testing.assert_close(held_out_losses(LastToken(), ids, n_tokens), expected)
    assert block_loss(LastToken(), ids, 13) == pytest.approx(expected.mean().item())
    with pytest.raises(ValueError, match="at least 2 tokens; they have 1 and 5"):
        held_out_losses(LastToken(), ids[:1], 5)


def test_the_attention_function_of_a_model_is_left_as_it_was():
    model = new_model(TINY).eval()
    weights = layer_weights(model, torch.randint(271, (5, 7)))
    assert weights.shape == (2, 5, 3, 7, 7)
    assert model.config._attn_implementation == "sdpa"


def test_the_best_head_is_named_by_layer_and_head():
    assert best_head(torch.tensor([[0.1, 0.2, 0.3], [0.1, 0.9, 0.2]])) == (1, 1)


def test_the_command_trains_goes_on_and_prints_its_figures(tmp_path, capsys):
    (tmp_path / "tales.txt").write_text(TALE, encoding="utf-8")
    sizes = "--d-vocab 271 --d-model 12 --n-layers 2 --n-heads 3 --d-inner 13 --n-tokens 22 --n-rows 11".split()
    command = ["--text", str(tmp_path / "tales.txt"), "--out", str(tmp_path / "model"), *sizes]
    main([*command, "--n-steps", "2"])
    first = json.loads((tmp_path / "model" / "figures.json").read_text(encoding="utf-8"))
    assert "previous-token head" in capsys.readouterr().out
    main([*command, "--n-steps", "3"])
    assert "from step 2" in capsys.readouterr().out
    log = (tmp_path / "model" / "checkpoints" / "log.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line)["step"] for line in log.splitlines()] == [0, 2, 2, 3]
    second = json.loads((tmp_path / "model" / "figures.json").read_text(encoding="utf-8"))
    assert second["trigram_nats_per_token"] == first["trigram_nats_per_token"]
    main([*command, "--measure"])
    again = json.loads((tmp_path / "model" / "figures.json").read_text(encoding="utf-8"))
    assert again["held_out_bits_per_byte"] == pytest.approx(second["held_out_bits_per_byte"])


def test_the_shipped_model_opens_by_name_and_its_attention_is_proved():
    model = load_model("storyteller")
    assert model.facts.architecture == "LlamaModel"
    assert 1_000_000 <= model.facts.n_parameters <= 2_800_000
    assert sum(file.stat().st_size for file in SHIPPED.rglob("*") if file.is_file()) <= 12_000_000
    trace = capture(model, "Once upon a time there was a king who had three sons.")
    for layer in range(model.facts.n_layers):
        for head in range(model.facts.n_heads):
            assert all(check.holds for check in trace.proof(layer, head))


@pytest.mark.slow
def test_the_shipped_model_has_a_previous_token_head_and_an_induction_head():
    """All of the card's figures that need no tale, measured again as its command does; rounding differs by machine."""
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(SHIPPED).eval()
    tale = torch.tensor(load_model("storyteller").tokenizer(TALE)["input_ids"][:256])
    seed = Recipe().seed + 2
    heads = head_figures(model, tale, 2048, 256, seed=seed)
    before, again = best_head(heads.previous), best_head(heads.induction)
    assert heads.previous[before] >= 0.75 and heads.previous_text[before] >= 0.5
    assert heads.induction[again] >= 0.75 and heads.induction_control[again] < 0.1
    repeated = repeating_loss(model, 2048, 256, seed=seed)
    assert repeated <= 0.3
    assert FIGURES["previous_head"] == list(before) and FIGURES["induction_head"] == list(again)
    for name, found in {
        "previous_random": heads.previous[before],
        "previous_chance": heads.previous_chance,
        "induction": heads.induction[again],
        "induction_control": heads.induction_control[again],
        "induction_chance": heads.induction_chance,
        "repeating_nats": repeated,
        "copied_nats": heads.copied,
        "copied_after_first_nats": heads.copied_after_first,
    }.items():
        assert float(found) == pytest.approx(FIGURES[name], abs=2e-3), name


def test_the_figures_that_need_the_tales_hold_what_was_asked():
    """They are what the card's command printed: the text is no part of this project."""
    assert FIGURES["previous_held_out"] >= 0.5
    assert FIGURES["below_trigram"] >= 0.08
    ours, trigram = FIGURES["held_out_bits_per_byte"], FIGURES["trigram_bits_per_byte"]
    assert FIGURES["below_trigram"] == pytest.approx(1 - ours / trigram)


def test_the_card_says_the_figures_that_were_printed():
    card = (SHIPPED / "README.md").read_text(encoding="utf-8")
    table = card[card.index("| what | this model") : card.index("How they are measured:")]
    f = FIGURES
    for text in (
        f"layer {f['previous_head'][0]}, head {f['previous_head'][1]}; mean weight on the token before",
        f"| {f['previous_random']:.3f} | {f['previous_chance']:.3f} if attention were even | ≥ 0.75 | reached |",
        f"| {f['previous_held_out']:.3f} | | ≥ 0.50 | reached |",
        f"layer {f['induction_head'][0]}, head {f['induction_head'][1]}; mean weight on the token after",
        f"| {f['induction']:.3f} | {f['induction_control']:.3f} in the same cells where nothing repeats; "
        f"{f['induction_chance']:.3f} if attention were even | ≥ 0.75 | reached |",
        f"| {f['repeating_nats']:.3f} nats per token | {f['uniform_nats']:.2f} knowing nothing | ≤ 0.3 | reached |",
        f"| {f['copied_nats']:.3f} nats per token; {f['copied_after_first_nats']:.3f} without its first token |",
        f"| {f['held_out_bits_per_byte']:.4f} bits per byte, {f['held_out_nats_per_token']:.3f} nats per token |",
        f"| {f['trigram_bits_per_byte']:.4f} and {f['trigram_nats_per_token']:.3f} for a trigram | 8 % below |",
        f"| {100 * f['below_trigram']:.1f}% below: reached |",
    ):
        assert text in table, text
    assert f"{f['parameters']:,} parameters" in card
    for kind in ("previous_random_all", "induction_all"):
        for layer, heads in enumerate(f[kind]):
            assert f"| {layer} | {' | '.join(f'{value:.2f}' for value in heads)} |" in card
