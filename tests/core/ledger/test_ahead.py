"""A causal model without its mask: what it says changes, and the unedited run stays what it was."""

import torch

from attention_core import Break, capture, effect, load_model
from attention_core.experiment.question import LogProb
from attention_core.formats import wire
from attention_core.ledger.ahead import ahead_pack
from tests.support import tiny

TALE = "Once upon a time there was a little fox who lived in the wood"


def test_what_is_said_without_the_mask_is_the_edits_own_effect():
    model = load_model("storyteller")
    trace = capture(model, TALE)
    ids = [token.id for token in trace.tokens]
    meta, arrays = wire.unpack(ahead_pack(trace, 1, 0, 6))
    assert arrays == {} and meta["why_not"] == "" and meta["next"] == trace.tokens[7].text
    as_it_is, alone, every = meta["rows"]
    own = effect(model, TALE, Break(1, 0, "no mask"), LogProb(ids[7], 6), draws=0)
    assert abs(as_it_is["p"] - torch.tensor(own.before).exp().item()) < 1e-6
    assert abs(alone["p"] - torch.tensor(own.after).exp().item()) < 1e-6
    assert alone["beside"] and every["beside"] and not as_it_is["beside"]
    assert every["p"] != as_it_is["p"]
    assert [one["t"] for one in as_it_is["says"]] != [one["t"] for one in every["says"]]


def test_after_the_last_token_nothing_is_hidden_and_nothing_changes_for_one_head():
    trace = capture(load_model("storyteller"), TALE)
    last = len(trace.layers) - 1
    meta, _ = wire.unpack(ahead_pack(trace, last, 0, len(trace.tokens) - 1))
    as_it_is, alone, _ = meta["rows"]
    assert abs(as_it_is["p"] - alone["p"]) < 1e-5


def test_where_nothing_is_hidden_the_reason_stands_there():
    meta, _ = wire.unpack(ahead_pack(capture(tiny.family("bert"), tiny.SENTENCE), 0, 0, 2))
    assert meta["rows"] == [] and "looks ahead already" in meta["why_not"]
