"""How Gapfiller and Dates grew: their recorded steps end in the models that are shipped."""

import math
from pathlib import Path

import numpy as np
import torch

from attention_core import load_model
from attention_core.grow.own_models import field_targets, growth
from attention_core.training.dates.command import probe_batch
from attention_core.training.dates.figures import cross_weights
from attention_core.training.gapfiller.figures import attention_weights
from attention_core.training.probes import GAP
from tests.support.plain_numbers import decode_u1

ASSETS = Path(__file__).resolve().parents[3] / "assets"


def test_gapfillers_growth_begins_as_the_storyteller_and_ends_in_the_model_that_is_shipped():
    from transformers import EuroBertForMaskedLM

    folder = ASSETS / "models" / "gapfiller"
    run = growth("gapfiller", folder)
    ids = torch.tensor([load_model("gapfiller").tokenizer(GAP)["input_ids"]])
    model = EuroBertForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()
    stored, masked = decode_u1(run.saved[-1].maps)
    assert not masked.any()
    assert np.abs(stored - attention_weights(model, ids)[:, 0].numpy()).max() < 0.01  # two roundings
    assert (run.head.n_layers, run.head.n_heads, len(run.head.tokens)) == (3, 5, ids.shape[1])
    assert run.head.tokens[run.head.scored.index(True)] == "[MASK]"
    assert run.saved[0].step == 0 and run.losses[0] > math.log(2049) > 2 * run.losses[-1]


def test_a_head_for_the_token_after_is_learned_while_one_for_the_token_before_was_there():
    run = growth("gapfiller", ASSETS / "models" / "gapfiller")
    before, after = (run.scores[name].max(axis=(1, 2)) for name in ("previous", "next"))
    assert before[0] > 0.4 and after[0] < 0.25 and after[-1] > 2 * after[0]


def test_datess_growth_ends_in_the_model_that_is_shipped_and_finds_the_fields():
    from transformers import BartForConditionalGeneration

    folder = ASSETS / "models" / "dates"
    run = growth("dates", folder)
    model = BartForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    batch = probe_batch(load_model("dates").tokenizer)
    stored, masked = decode_u1(run.saved[-1].maps)
    assert not masked.any() and stored.shape == (2, 4, 10, 17)
    assert np.abs(stored - cross_weights(model, batch)[:, 0, :, :10].numpy()).max() < 0.01  # two roundings
    assert "".join(token[1:] for token in run.head.tokens) == "2021-03-04"
    assert "".join(run.head.keys).replace("·", " ") == "jeudi 4 mars 2021"
    year = [key for query, key in run.head.targets[0] if query == 0]
    assert [run.head.keys[key] for key in year] == list("2021") and len(run.head.targets[0]) == 4 * 4 + 2 * 4 + 2
    scores = run.scores["field"].max(axis=(1, 2))
    assert scores[0] < 2 * run.head.even[0] < scores[-1]
    assert field_targets().sum() == len(run.head.targets[0])
