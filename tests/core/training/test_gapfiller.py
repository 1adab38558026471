"""Gapfiller: its gaps, its beginning as the Storyteller, what is measured, the recipe on a tiny scale."""

import json
import math
from pathlib import Path

import pytest
import torch
from transformers import EuroBertForMaskedLM, LlamaForCausalLM

from attention_core import capture, load_model
from attention_core.reading.readout import MaskedTokens
from attention_core.training.gapfiller.figures import gap_losses, left_losses, neighbour_weights, places, windows
from attention_core.training.gapfiller.recipe import Recipe, loss_of, new_model, with_mask
from attention_core.training.loop import train
from attention_core.training.probes import GAP

SHIPPED = Path(__file__).resolve().parents[3] / "assets" / "models" / "gapfiller"
FIGURES = json.loads((SHIPPED / "figures.json").read_text(encoding="utf-8"))
STORYTELLER = Path(__file__).resolve().parents[3] / "assets" / "models" / "storyteller"
TALE = "Once upon a time there was a fox. The fox saw a crow, and the crow saw the fox. "
OWN_TALE = (
    "Once upon a time there was a poor miller who had three sons. When he died, the eldest took the mill, the second "
    "took the ass, and the youngest got nothing but the cat. He sat down by the road and wept, for he did not know "
    'what to do with a cat. But the cat said to him, "Do not weep, my master. Give me a pair of boots and a bag, and '
    'you shall see that I am worth more than the mill." So the boy gave the cat all that he had, and the cat went '
    "into the forest, and caught a hare, and brought it to the king, and said that it came from his master."
)


@pytest.fixture(scope="module")
def tokenizer():
    return with_mask(STORYTELLER)


@pytest.fixture(scope="module")
def storyteller():
    return LlamaForCausalLM.from_pretrained(STORYTELLER, dtype=torch.float32).eval()


@pytest.fixture
def model(storyteller, tokenizer):
    return new_model(Recipe(n_layers=2, n_tokens=32), storyteller, tokenizer).eval()


def test_a_gap_takes_the_blank_before_it_and_all_other_tokens_are_the_storytellers(tokenizer):
    assert (len(tokenizer), tokenizer.mask_token_id) == (2049, 2048)
    assert tokenizer("a king")["input_ids"] == tokenizer("a king[MASK]")["input_ids"][:-1]
    ids = [tokenizer(text)["input_ids"] for text in ("a [MASK] had", "a[MASK] had")]
    assert ids[0] == ids[1] and ids[0][1] == 2048 and len(ids[0]) == 3


def test_batches_are_the_same_for_a_step_and_hide_a_share_of_each_row():
    recipe = Recipe(n_rows=50, n_tokens=64)
    text = torch.arange(1000)
    batch, again = (recipe.batch_at(text, 2048, 7) for _ in range(2))
    assert torch.equal(batch.shown, again.shown) and not torch.equal(batch.shown, recipe.batch_at(text, 2048, 8).shown)
    assert (batch.tokens.diff(dim=1) == 1).all()
    assert torch.equal(batch.shown == 2048, batch.gaps) and torch.equal(
        batch.shown[~batch.gaps], batch.tokens[~batch.gaps]
    )
    assert batch.gaps.any(dim=1).all() and 0.2 < batch.gaps.float().mean() < 0.3


def test_it_begins_as_the_storyteller_and_reads_both_ways(model, storyteller, tokenizer):
    ids = torch.tensor([tokenizer(TALE)["input_ids"]])
    with torch.inference_mode():
        before = storyteller(ids, output_hidden_states=True).hidden_states[1]
        alone = model(ids[:, :1], output_hidden_states=True).hidden_states[1]
        whole = model(ids, output_hidden_states=True).hidden_states[1]
    torch.testing.assert_close(alone[0, 0], before[0, 0])  # the first token has nothing before it in either
    torch.testing.assert_close(whole[0, -1], before[0, -1])  # the last token has everything before it in both
    assert (whole[0, 0] - before[0, 0]).abs().max() > 0.01  # but the first one now reads what follows


def test_places_leave_room_on_both_sides_and_are_never_drawn_twice():
    at = places(700, 300, 32, 1)
    assert len(set(at.tolist())) == 300 and at.min() >= 255 and at.max() < 700 - 16
    assert torch.equal(at, at.sort().values) and torch.equal(at, places(700, 300, 32, 1))
    assert windows(torch.arange(700), at[:1], 2, 3).tolist() == [list(range(int(at[0]) - 2, int(at[0]) + 4))]
    with pytest.raises(ValueError, match="300 gaps need a text of 571 tokens; it has 570"):
        places(570, 300, 32, 1)


def test_the_surprise_at_a_gap_is_that_of_its_own_token_with_only_it_hidden(model, tokenizer):
    ids = torch.tensor(tokenizer(TALE * 6)["input_ids"])
    at = torch.tensor([40, 50])
    found = gap_losses(model, ids, at, 2048, before=5, after=4)
    row = ids[35:45].clone()
    row[5] = 2048
    with torch.inference_mode():
        expected = -model(row[None]).logits[0, 5].log_softmax(dim=-1)[ids[40]]
    assert found[0].item() == pytest.approx(expected.item(), abs=1e-5)
    cut = gap_losses(model, ids, at, 2048, before=5, after=0)
    assert (cut - found).abs().min() > 1e-4


def test_a_causal_model_is_given_what_stands_before_a_gap_and_nothing_else(storyteller, tokenizer):
    ids = torch.tensor(tokenizer(TALE * 6)["input_ids"])
    with torch.inference_mode():
        expected = -storyteller(ids[None, 33:40]).logits[0, -1].log_softmax(dim=-1)[ids[40]]
    assert left_losses(storyteller, ids, torch.tensor([40]), before=7)[0].item() == pytest.approx(
        expected.item(), abs=1e-5
    )


def test_neighbours_of_an_even_head_get_what_is_even(model):
    for layer in model.model.layers:
        torch.nn.init.zeros_(layer.self_attn.q_proj.weight)
        torch.nn.init.zeros_(layer.self_attn.q_proj.bias)
    found = neighbour_weights(model, torch.randint(2000, (3, 11)))
    for name in ("previous", "next"):
        torch.testing.assert_close(found[name], torch.full((2, 5), 1 / 11))


def test_the_loss_of_gaps_falls_while_it_trains(storyteller, tokenizer):
    recipe = Recipe(n_layers=1, n_tokens=24, n_rows=8, n_steps=12)
    ids = torch.tensor(tokenizer(TALE * 6)["input_ids"])
    model = new_model(recipe, storyteller, tokenizer)
    reports = list(
        train(
            model,
            lambda step: recipe.batch_at(ids, tokenizer.mask_token_id, step),
            recipe.schedule(),
            loss_of=loss_of,
            report_every=6,
        )
    )
    assert reports[1].loss > reports[2].loss and reports[1].loss < 2 * math.log(2049)


# --- the model that is shipped ---------------------------------------------------------------------------------------


def test_the_shipped_model_opens_by_name_and_every_head_is_proved():
    model = load_model("gapfiller")
    assert (model.facts.architecture, model.facts.n_layers, model.facts.n_heads) == ("EuroBertModel", 3, 5)
    assert sum(file.stat().st_size for file in SHIPPED.rglob("*") if file.is_file()) <= 6_000_000
    trace = capture(model, GAP)
    for layer in range(3):
        for head in range(5):
            assert all(check.holds for check in trace.proof(layer, head))
    said = trace.readout()
    assert isinstance(said, MaskedTokens) and len(said.fills) == 1


def test_the_models_in_the_box_are_small():
    """Those of the repository; MiniLM comes in a package of its own."""
    files = [file for file in SHIPPED.parent.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 24_000_000


def test_the_figures_hold_what_was_asked():
    """They are what the card's command printed: the text is no part of this project."""
    assert FIGURES["both_nats"] < FIGURES["storyteller_nats"] < FIGURES["trigram_nats"]
    for name in ("storyteller", "trigram", "left", "right"):
        assert FIGURES[f"over_{name}_nats"] > 3 * FIGURES[f"over_{name}_error"] > 0
        difference = FIGURES[f"{name}_nats"] - FIGURES["both_nats"]
        assert FIGURES[f"over_{name}_nats"] == pytest.approx(difference)


def test_both_sides_matter_on_a_tale_of_our_own():
    """The same gaps with one side cut: the shipped model is more surprised, from the left alone and from the right."""
    model = EuroBertForMaskedLM.from_pretrained(SHIPPED, dtype=torch.float32).eval()
    tokenizer = load_model("gapfiller").tokenizer
    ids = torch.tensor(tokenizer(OWN_TALE)["input_ids"])
    at = torch.arange(24, len(ids) - 24)
    both = gap_losses(model, ids, at, tokenizer.mask_token_id, before=24, after=23).mean()
    left = gap_losses(model, ids, at, tokenizer.mask_token_id, before=24, after=0).mean()
    right = gap_losses(model, ids, at, tokenizer.mask_token_id, before=0, after=23).mean()
    assert both < min(left, right)
    causal = LlamaForCausalLM.from_pretrained(STORYTELLER, dtype=torch.float32).eval()
    assert both < left_losses(causal, ids, at, before=24).mean()


def test_the_card_says_the_figures_that_were_printed():
    card, f = (SHIPPED / "README.md").read_text(encoding="utf-8"), FIGURES
    for text in (
        f"{f['parameters']:,} parameters",
        f"| {f['both_nats']:.3f} nats |",
        *(
            f"| {f[f'{name}_nats']:.3f} nats | {f[f'over_{name}_nats']:.3f} ± {2 * f[f'over_{name}_error']:.3f} |"
            for name in ("storyteller", "trigram", "left", "right")
        ),
        *("layer {}, head {}: {:.3f}".format(*f[f"{name}_head"], f[name]) for name in ("previous", "next")),
    ):
        assert text in card, text
