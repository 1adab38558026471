"""Edits of scores, weights and values, each as what it does to one run's attention in one layer."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.capturing.encode import tokens_of_ids
from attention_core.experiment.attending import Change, Row
from attention_core.experiment.edits import Break, CutLink, ExperimentError, Patch, ZeroValue
from attention_core.models.facts import LoadedModel
from attention_core.text.tokens import Token


def cut(edit: CutLink, say: Callable[[str], None]) -> Change:
    """Cut links. `say` is told which rows were left alone because they read nothing else.

    Raises ExperimentError, when it runs, for a place that does not exist, a link that there is not, and a query's only
    key.
    """

    def chosen(row: Row) -> list[tuple[int, Tensor, Tensor]]:
        n_heads, n_query, n_key = row.own.shape
        keys = torch.tensor(edit.keys, device=row.own.device)
        if int(keys.max()) >= n_key:
            raise ExperimentError(f"key must be 0 … {n_key - 1}; got {int(keys.max())}")
        if edit.query is not None and edit.query >= n_query:
            raise ExperimentError(f"query must be 0 … {n_query - 1}; got {edit.query}")
        found, alone = [], set[int]()
        for head in range(n_heads) if edit.head is None else (edit.head,):
            allowed = row.allowed[head]
            left = allowed.clone()
            left[:, keys] = False
            touched, others = allowed[:, keys].any(dim=-1), left.any(dim=-1)
            if edit.query is not None:
                _require_link(edit, bool(touched[edit.query]), bool(others[edit.query]))
                queries = torch.tensor([edit.query], device=keys.device)
            else:
                queries = (touched & others).nonzero().flatten()
                alone.update((touched & ~others).nonzero().flatten().tolist())
            found.append((head, queries, keys))
        if alone:
            say(f"Queries left alone, because they read nothing else: {', '.join(map(str, sorted(alone)))}.")
        return found

    def in_scores(row: Row) -> None:
        for head, queries, keys in chosen(row):
            row.allowed[head, queries[:, None], keys] = False

    def in_weights(row: Row) -> None:
        assert row.weights is not None
        for head, queries, keys in chosen(row):
            row.weights[head, queries[:, None], keys] = 0.0

    return Change(before=in_scores) if edit.how == "score" else Change(after=in_weights)


def _require_link(edit: CutLink, there_is: bool, another: bool) -> None:
    keys = ", ".join(map(str, edit.keys))
    if not there_is:
        raise ExperimentError(f"There is no link to cut: query {edit.query} may not read key {keys}.")
    if not another:
        raise ExperimentError(
            f"Query {edit.query} reads nothing but key {keys}: cut, its row would be empty and nothing could be "
            "computed. Switch the head off instead, or leave it one more key."
        )


def broken(edit: Break) -> Change:
    """Weights by another rule. Raises ExperimentError, when it runs, for a rule that this layer has no places for."""
    head = edit.head

    def no_scale(row: Row) -> None:
        row.q[head] = row.q[head] / row.scale

    def no_mask(row: Row) -> None:
        row.allowed[head] = True

    if edit.rule in ("no scale", "no mask"):
        return Change(before=no_scale if edit.rule == "no scale" else no_mask)

    def after(row: Row) -> None:
        assert row.weights is not None and row.masked_scores is not None and row.model_weights is not None
        row.weights[head] = _by_rule(edit, row, row.masked_scores[head], row.model_weights)

    return Change(after=after)


def _by_rule(
    edit: Break, row: Row, scores: Float[Tensor, "query key"], model_weights: Float[Tensor, "head query key"]
) -> Float[Tensor, "query key"]:
    n_query, n_key = scores.shape
    if edit.rule == "uniform":
        allowed = row.allowed[edit.head].float()
        return allowed / allowed.sum(dim=-1, keepdim=True)
    if edit.rule == "hard max":
        return torch.nn.functional.one_hot(scores.argmax(dim=-1), n_key).to(scores.dtype)
    if edit.rule == "temperature":
        assert edit.temperature is not None
        return _softmax_at(scores, edit.temperature, row.sink_logit, edit.head)
    if edit.rule == "other head":
        assert edit.other is not None
        return model_weights[edit.other]
    if n_query != n_key:
        raise ExperimentError(f"“{edit.rule}” is for self-attention: here queries and keys are tokens of two texts.")
    there = torch.arange(n_query, device=scores.device)
    there = (there - 1).clamp_min(0) if edit.rule == "previous" else there
    return torch.nn.functional.one_hot(there, n_key).to(scores.dtype)


def _softmax_at(scores: Tensor, temperature: float, sink_logit: Tensor | None, head: int) -> Tensor:
    """Every score divided, the sink's logit too, which is one more score of the row."""
    if sink_logit is None:
        return torch.softmax(scores / temperature, dim=-1)
    sink = sink_logit[head].expand(scores.shape[0])[:, None]
    return torch.softmax(torch.cat([scores, sink], dim=-1) / temperature, dim=-1)[:, :-1]


def without_value(edit: ZeroValue) -> Change:
    """A key's value 0 for one head or all. Raises ExperimentError, when it runs, for a key that does not exist."""

    def before(row: Row) -> None:
        n_key = row.values.shape[1]
        if edit.key >= n_key:
            raise ExperimentError(f"key must be 0 … {n_key - 1}; got {edit.key}")
        row.values[slice(None) if edit.head is None else edit.head, edit.key] = 0.0

    return Change(before=before)


def pattern_from(edit: Patch, other: Float[Tensor, "query key"]) -> Change:
    """A head's weights from a second run: all of them, or the rows and columns that `places` pair.

    A row that is taken over has weight on paired columns alone, and sums to what those had in the second run.
    """
    assert edit.head is not None
    head = edit.head

    def after(row: Row) -> None:
        assert row.weights is not None
        weights = row.weights[head]
        if not edit.places:
            if weights.shape != other.shape:
                raise ExperimentError(
                    f"“patch pattern” needs texts of one length: this row reads {weights.shape[1]} keys, there "
                    f"{other.shape[1]}. Nothing is trimmed; give the places that belong together."
                )
            row.weights[head] = other.to(weights)
            return
        here, there = ([pair[side] for pair in edit.places] for side in (0, 1))
        if max(here) >= min(weights.shape) or max(there) >= min(other.shape):
            raise ExperimentError(f"“patch”: a place does not exist; here 0 … {min(weights.shape) - 1}")
        own = torch.zeros(len(here), weights.shape[1], device=weights.device)
        own[:, here] = other[there][:, there].to(weights)
        weights[here] = own

    return Change(after=after)


def tokens_for(model: LoadedModel, ids: Sequence[int], *, target: bool) -> tuple[Token, ...]:
    """Some numbers of the vocabulary as tokens. Raises ExperimentError for one that it has not."""
    tokenizer = model.target_tokenizer if target else model.tokenizer
    try:
        return tokens_of_ids(tokenizer, list(ids))
    except (IndexError, TypeError, OverflowError, ValueError):
        raise ExperimentError(f"{model.facts.name} has no token number {ids[0]}") from None
