"""What one text did inside one model: q, k, v and output of every attention layer.

A trace keeps q, k and v, not the attention matrices: O(layers · tokens · d_model) memory where the matrices would take
O(layers · heads · tokens²). The weights of a head are computed when somebody looks at them.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from jaxtyping import Float
from torch import Tensor

from attention_core.formula.attention import AttentionSteps
from attention_core.models.facts import ModelFacts
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
    opened: bool = False  # from a file: the model is not here
    other_layers: tuple[str, ...] = ()  # of a hybrid: names of the layers in which no attention was observed
    source_language: str | None = None  # that the tokenizer was told, by its own name; None if it is told none
    target_language: str | None = None
    chat: str | None = None  # what was typed, where the model's chat template made `text` of it
    ending: Ending | None = field(default=None, repr=False)  # what the model can say more; None in a trace from a file
    # What `pictures` reads off the tokens, once for all layers and heads.
    read: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

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

    def query_tokens(self, layer: int) -> tuple[Token, ...]:
        """The tokens that look, in this layer."""
        decoder_side = self.layers[layer].kind != "encoder self" and self.target_tokens
        return self.target_tokens if decoder_side else self.source_tokens

    def key_tokens(self, layer: int) -> tuple[Token, ...]:
        """The tokens that are looked at, in this layer."""
        decoder_side = self.layers[layer].kind == "decoder self" and self.target_tokens
        return self.target_tokens if decoder_side else self.source_tokens

    def steps(self, layer: int, head: int, rows: slice = slice(None)) -> AttentionSteps:
        """Every intermediate tensor of one head; `rows` picks a block of queries.

        Raises ValueError for a layer of which only the weights are known.
        """
        self.require(layer, head)
        return self.exact(layer).steps(head, rows)

    def exact(self, layer: int) -> LayerTrace:
        """The layer with its q, k and v. Raises ValueError if only its weights are known."""
        found = self.layers[layer]
        if not isinstance(found, LayerTrace):
            raise ValueError(f"layer {layer}: {self.only_weights}; there is no q and no k")
        return found

    def weights(self, layer: int, head: int, rows: slice = slice(None)) -> Float[Tensor, "query key"]:
        """The attention weights of one head: rows look at columns."""
        self.require(layer, head)
        return self.layers[layer].weights(head, rows)

    def proof(self, layer: int, head: int) -> tuple[Check, ...]:
        """Our formula against the model's own numbers, one check per step; never empty."""
        self.require(layer, head)
        return prove(self.layers[layer], head)

    def require(self, layer: int, head: int) -> None:
        """Raises ValueError, with what there is, if the trace has no such layer or head."""
        if not 0 <= layer < len(self.layers):
            raise ValueError(f"layer must be 0 … {len(self.layers) - 1}; got {layer}")
        if not 0 <= head < self.layers[layer].n_heads:
            raise ValueError(f"head must be 0 … {self.layers[layer].n_heads - 1} in layer {layer}; got {head}")
