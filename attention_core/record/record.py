"""What one text did inside one model: q, k, v and output of every attention layer.

A trace keeps q, k and v, not the attention matrices: O(layers · tokens · d_model) memory where the matrices would take
O(layers · heads · tokens²). The weights of a head are computed when somebody looks at them.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, SupportsIndex

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.formats.json_data import JsonObject
from attention_core.formats.shown import short_repr
from attention_core.formula.attention import AttentionSteps
from attention_core.models.facts import ModelFacts
from attention_core.record.choosing import Chosen, HeadChoice, LayerChoice, head_at, heads_at, layer_at, layers_at
from attention_core.record.ending import Ending
from attention_core.record.layers import AttentionLayer, LayerTrace, WeightsOnly, checks_of
from attention_core.record.proof import Check, prove
from attention_core.text.tokens import Token


@dataclass(frozen=True, eq=False)
class Record:
    """One text through one model: its tokens and every attention layer in the order in which the model called them."""

    facts: ModelFacts
    text: str
    pair: str | None
    target: str | None
    source_tokens: tuple[Token, ...]
    target_tokens: tuple[Token, ...]  # the decoder's side of an encoder-decoder; empty otherwise
    layers: tuple[AttentionLayer, ...]
    notes: tuple[str, ...] = ()  # sentences for the reader: what was cut or changed
    reservations: tuple[str, ...] = ()  # sentences: in what the model that ran may differ from the one that was saved
    edited: tuple[str, ...] = ()  # sentences: what was changed while the model ran, and where
    edits: tuple[JsonObject, ...] = ()  # the same as plain data, which `experiment/edits` reads
    opened: bool = False  # from a file: the model is not here
    other_layers: tuple[str, ...] = ()  # of a hybrid: names of the layers in which no attention was observed
    source_language: str | None = None  # that the tokenizer was told, by its own name; None if it is told none
    target_language: str | None = None
    chat: str | None = None  # what was typed, where the model's chat template made `text` of it
    ending: Ending | None = field(default=None, repr=False)  # what the model can say more; None in a trace from a file
    # What `pictures` reads off the tokens, once for all layers and heads; of whatever type it put there.
    read: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False)

    __repr__ = short_repr

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The source's tokens: all there are, except in an encoder-decoder."""
        return self.source_tokens

    @cached_property
    def nbytes(self) -> int:
        """Memory that the captured tensors hold; storage that several of them share is counted once."""
        storages = {storage.data_ptr(): storage.nbytes() for storage in map(Tensor.untyped_storage, self.captured())}
        return sum(storages.values())

    def captured(self) -> list[Tensor]:
        """Every tensor of the run that takes memory for each token; several may be views of one storage."""
        tensors = [
            tensor for layer in self.layers for tensor in (*layer.tensors().values(), *layer.observed().values())
        ]
        if self.ending is not None:
            if self.ending.hidden is not None:
                tensors.append(self.ending.hidden)
            if self.ending.last_norm is not None:
                tensors.append(self.ending.last_norm.before)
        return tensors

    @property
    def given(self) -> bool:
        """The matrices were made elsewhere and given to us: no model ran here, and none can be asked."""
        return any(layer.origin == "given" for layer in self.layers)

    @property
    def beside(self) -> tuple[str, ...]:
        """Sentences that stand beside whatever leaves this record: how it was loaded, and what was edited."""
        return (*self.reservations, *self.edited)

    @property
    def only_weights(self) -> str:
        """Why a layer of this record may have weights and nothing else, in the same few words everywhere."""
        return "weights only, given by you" if self.given else f"{self.facts.architecture} hides q and k"

    @property
    def sums_to_one(self) -> bool:
        """Each row sums to 1, with a sink's share where there is one; not if whoever gave them says otherwise."""
        return all(layer.sums_to_one for layer in self.layers if isinstance(layer, WeightsOnly))

    @property
    def checks(self) -> tuple[str, ...]:
        """Names of the checks that the proof makes in every layer: beside the model more than in a file."""
        return checks_of(self.layers)

    def query_tokens(self, layer: SupportsIndex | str) -> tuple[Token, ...]:
        """The tokens that look, in this layer."""
        decoder_side = self.layer(layer).kind != "encoder self" and self.target_tokens
        return self.target_tokens if decoder_side else self.source_tokens

    def key_tokens(self, layer: SupportsIndex | str) -> tuple[Token, ...]:
        """The tokens that are looked at, in this layer."""
        decoder_side = self.layer(layer).kind == "decoder self" and self.target_tokens
        return self.target_tokens if decoder_side else self.source_tokens

    def layer(self, layer: SupportsIndex | str, *, kind: str | None = None) -> AttentionLayer:
        """One layer: `layer(-1)` the last that the model called, `layer(1, kind="cross")` or `layer("cross 1")`.

        Raises ValueError that names the layers there are.
        """
        return self.layers[layer_at(self.layers, layer, kind)]

    def steps(
        self, layer: SupportsIndex | str, head: HeadChoice, rows: slice = slice(None), *, kind: str | None = None
    ) -> AttentionSteps:
        """Every intermediate tensor of one head; `rows` picks a block of queries.

        Several heads (a slice, a list, None: all) get an axis of their own, before the others. Layers are named as in
        `record/choosing`: by number, from the end, by kind.

        Raises ValueError for a layer of which only the weights are known, and for a mean over heads: scores of several
        heads have no one softmax.
        """
        place, heads = self._choose(layer, head, kind)
        one = self.exact(place)
        if heads.how == "one":
            return one.steps(heads.indices[0], rows)
        if heads.how != "each":
            raise ValueError(f'there are no steps of a {head} over heads; weights(…, "{head}") has its weights')
        each = [one.steps(index, rows) for index in heads.indices]
        return AttentionSteps(
            *(torch.stack([getattr(steps, field.name) for steps in each]) for field in fields(AttentionSteps))
        )

    def exact(self, layer: SupportsIndex | str) -> LayerTrace:
        """The layer with its q, k and v. Raises ValueError if only its weights are known."""
        found = self.layer(layer)
        if not isinstance(found, LayerTrace):
            raise ValueError(f"layer {layer}: {self.only_weights}; there is no q and no k")
        return found

    def weights(
        self, layer: LayerChoice, head: HeadChoice, rows: slice = slice(None), *, kind: str | None = None
    ) -> Float[Tensor, "*several query key"]:
        """The attention weights of one head, [query, key]: rows look at columns. In float32, ordinary tensors.

        `layer` and `head` may be negative (from the end); several (a slice, a list, None: all) keep their axis, in the
        order layer, head, query, key; "mean" and "max" put several together. `weights(2, "mean")` is the mean over the
        heads of a layer, `weights("mean", 0)` that of head 0 over the layers, `weights(1, 0, kind="cross")` or
        `weights("cross 1", 0)` one head of cross-attention.

        Raises ValueError that names what there is.
        """
        chosen = layers_at(self.layers, layer, kind)
        if chosen.how == "one":
            return self._weights_of(chosen.indices[0], head, rows)
        if chosen.how == "mean" and head == "mean":  # over all heads alike, where layers differ in their number
            sums = [self.layers[place].all_weights(rows).sum(dim=0) for place in chosen.indices]
            return torch.stack(sums).sum(dim=0) / sum(self.layers[place].n_heads for place in chosen.indices)
        each = [self._weights_of(place, head, rows) for place in chosen.indices]
        if len({one.shape for one in each}) > 1:
            raise ValueError(
                f"these layers differ in their heads ({_heads_of(self.layers, chosen.indices)}): ask for one"
            )
        return _together(torch.stack(each), chosen.how)

    def _weights_of(self, layer: int, head: HeadChoice, rows: slice) -> Tensor:
        one = self.layers[layer]
        heads = heads_at(one.n_heads, head, layer)
        if heads.how == "one":
            weights = one.weights(heads.indices[0], rows)
            return weights if one.exact else weights.clone()  # else it is a view of the record's own numbers
        if heads.how == "each" and len(heads.indices) < one.n_heads:
            return torch.stack([one.weights(index, rows) for index in heads.indices])
        every = one.all_weights(rows)
        return _together(every[list(heads.indices)] if heads.how == "each" else every, heads.how)

    def _choose(self, layer: SupportsIndex | str, head: HeadChoice, kind: str | None = None) -> tuple[int, Chosen]:
        place = layer_at(self.layers, layer, kind)
        return place, heads_at(self.layers[place].n_heads, head, place)

    def place(self, layer: SupportsIndex | str, head: SupportsIndex, *, kind: str | None = None) -> tuple[int, int]:
        """One layer and one head of it as their numbers in `layers` and from 0, however they were named.

        Raises ValueError that names what there is.
        """
        found = layer_at(self.layers, layer, kind)
        return found, head_at(self.layers[found].n_heads, head, found)

    def proof(self, layer: SupportsIndex | str, head: SupportsIndex, *, kind: str | None = None) -> tuple[Check, ...]:
        """Our formula against the model's own numbers, one check per step; never empty."""
        layer, head = self.place(layer, head, kind=kind)
        return prove(self.layers[layer], head)


def _together(weights: Float[Tensor, "*all query key"], how: str) -> Float[Tensor, "*left query key"]:
    """Several along the first axis, each or as one."""
    if how == "mean":
        return weights.mean(dim=0)
    return weights.amax(dim=0) if how == "max" else weights


def _heads_of(layers: tuple[AttentionLayer, ...], places: tuple[int, ...]) -> str:
    return ", ".join(dict.fromkeys(str(layers[place].n_heads) for place in places))
