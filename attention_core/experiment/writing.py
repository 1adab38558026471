"""Letting a model write while it is edited: every token is chosen from a run of all tokens so far under the edits."""

from collections.abc import Callable

import torch

from attention_core.capturing.capture import prepare, prepare_ids
from attention_core.experiment.edits import Edit, ExperimentError, edits_of
from attention_core.experiment.running import Runs
from attention_core.models.facts import LoadedModel
from attention_core.reading.generation import Continuation, Ended, How, end_ids
from attention_core.reading.readout import choices_of


def continue_edited(
    model: LoadedModel,
    text: str,
    edits: Edit | tuple[Edit, ...],
    n: int = 1,
    *,
    how: How = "greedy",
    seed: int = 0,
    temperature: float = 1.0,
    stop: Callable[[int], bool] = lambda n_written: False,
) -> Continuation:
    """Let a causal model continue `text` by up to n tokens while edits are made in every run.

    Nothing is kept from one token to the next, so that an edit acts on every position as if the text had always been
    there; it takes a whole run for each token. The other arguments are those of `continue_text`.

    Raises ExperimentError for a model that does not write from left to right, or an edit that cannot be made in a text
    that grows (one that needs a second text of the same length).
    """
    head = model.head
    if head is None or head.predicts != "next token" or model.facts.encoder_decoder:
        raise ExperimentError(f"{model.facts.name} does not continue a text from left to right.")
    changes = edits_of(edits)
    given = prepare(model, text)
    ids, ends = list(given.source.ids), end_ids(head.whole, model.tokenizer)
    n_given, limit = len(ids), model.facts.context_length
    random = torch.Generator().manual_seed(seed)
    found: list[tuple[int, float]] = []
    ended: Ended = "length"
    while len(found) < n:
        if limit is not None and len(ids) >= limit:
            ended = "limit"
            break
        hidden = Runs(prepare_ids(model, ids), resume=False).run([changes]).hidden
        if hidden is None:
            raise ExperimentError(f"{model.facts.architecture} ends in something else than a vector for each token.")
        logits = head.logits(hidden[0, -1:])[0].double().cpu()
        scores = logits
        if how == "sampled":
            uniform = torch.rand(logits.shape, generator=random, dtype=torch.float64).clamp_min(1e-300)
            scores = logits / temperature - torch.log(-torch.log(uniform))
        token = int(scores.argmax())
        if token in ends:
            ended = "end"
            break
        found.append((token, float(torch.softmax(logits, dim=0)[token])))
        ids.append(token)
        if stop(len(found)):
            ended = "stopped"
            break
    before, after = model.decode(ids[:n_given]), model.decode(ids)
    whole = given.text + (after[len(before) :] if after.startswith(before) else model.decode(ids[n_given:]))
    same = list(model.encode(whole)["input_ids"]) == ids
    return Continuation(whole, choices_of(model.tokenizer, found), ended, same, tuple(ids))
