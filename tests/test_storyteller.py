"""The recipe of the Storyteller on a tiny scale, and the model that is shipped."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from attention_core.capturing import capture
from attention_core.models import load_model
from attention_core.storyteller import (
    Recipe,
    best_head,
    block_loss,
    head_figures,
    held_out_losses,
    layer_weights,
    main,
    new_model,
    repeating_loss,
    split_text,
    stage_at,
    train_tokenizer,
)

SHIPPED = Path(__file__).resolve().parent.parent / "assets" / "models" / "storyteller"
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


def test_the_shipped_model_has_a_previous_token_head_and_an_induction_head():
    """The card's figures are means over many rows; here are a few, so that the bounds are a little lower."""
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(SHIPPED).eval()
    tale = torch.tensor(load_model("storyteller").tokenizer(TALE)["input_ids"][:256])
    heads = head_figures(model, tale, 2048, 256, seed=7, n_periods=4)
    assert heads.previous.max() >= 0.75
    induction = best_head(heads.induction)
    assert heads.induction[induction] >= 0.7 and heads.induction_control[induction] < 0.1
    assert repeating_loss(model, 2048, 256, seed=7, n_periods=4) <= 0.3
