"""Where in a model an edit is made: the slot of what W_O reads, told from one observed run and remembered.

Of a layer whose W_O was observed the edit is made there, also where a norm or a gate stands between the attention
function and W_O: z is what W_O reads. Where W_O was not observed, at the attention function's output. Where our formula
does not give that output, nothing says what a head is, and edits are refused.
"""

from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Literal
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attention_core.capturing.capture import Prepared, captured
from attention_core.experiment.edits import ExperimentError
from attention_core.formats.shown import short_repr
from attention_core.models.facts import LoadedModel
from attention_core.observe import editing
from attention_core.observe.editing import Asked, Attended
from attention_core.observe.hybrids import outermost_lists
from attention_core.record.layers import LayerTrace
from attention_core.record.projections import OutputProjection
from attention_core.record.proof import compare
from attention_core.record.record import Record

Where = Literal["W_O's input", "W_O's input, after a norm", "W_O's input, after a gate", "the function's output", ""]
_LEAST_TOKENS = 4  # fewer may agree by chance; what they tell is not remembered


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """One attention layer: where its heads are edited, and what its W_O is."""

    layer: int
    where: Where  # "" if it cannot be edited
    n_heads: int
    n_kv_heads: int
    in_formula: bool  # our formula gives the function's own output, so scores and weights can be edited
    slots: Int[Tensor, "head d_value"]  # which channels of what is edited are each head's
    output: nn.Module | None = field(default=None, repr=False)  # W_O
    o: OutputProjection | None = field(default=None, repr=False)  # with its weight; nothing of the text that found it

    __repr__ = short_repr

    def matrix(self) -> Float[Tensor, "d_in d_model"] | None:
        """W_O, [channel that it reads, channel that it writes]; None where it was not observed."""
        return None if self.o is None else self.o.matrix()

    @property
    def words(self) -> str:
        """Where an edit of a head is made, for whoever reads the edited trace; "" where that needs no word."""
        if self.where == "W_O's input":
            return ""
        if self.where == "the function's output":
            return f"Layer {self.layer}: W_O was not observed; edited at the attention function's output."
        between = self.where.rsplit(" ", 1)[-1]
        return f"Layer {self.layer}: a {between} stands between the heads and W_O; edited after it, where W_O reads."


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One call of a block: an element of the model's list of layers, and the attention layer that runs next in it."""

    module: nn.Module
    first: int  # the number of the first attention layer that runs in it or after it


@dataclass(frozen=True, slots=True, eq=False)
class Sites:
    """Everywhere in a model where an edit can be made."""

    layers: tuple[Site, ...]
    blocks: tuple[Block, ...]  # in the order in which they are called

    __repr__ = short_repr

    def site(self, layer: int) -> Site:
        """One layer's. Raises ExperimentError naming what there is."""
        if not 0 <= layer < len(self.layers):
            raise ExperimentError(f"layer must be 0 … {len(self.layers) - 1}; got {layer}")
        return self.layers[layer]

    def require_head(self, layer: int, head: int) -> Site:
        """The site of a head. Raises ExperimentError for one that does not exist or cannot be edited."""
        site = self.site(layer)
        if not 0 <= head < site.n_heads:
            raise ExperimentError(f"layer {layer} has heads 0 … {site.n_heads - 1}; got {head}")
        if not site.where:
            raise ExperimentError(
                f"Layer {layer} cannot be edited: W_O was not observed, and the formula does not give its output."
            )
        return site

    def block_of(self, layer: int) -> int | None:
        """Which of `blocks` runs this layer as its first; None where no block begins with it."""
        return next((i for i, block in enumerate(self.blocks) if block.first == layer and self._attends(i)), None)

    def block_holding(self, layer: int) -> int | None:
        """The last of `blocks` that begins at this layer or before it; None if there is none."""
        return max((i for i, block in enumerate(self.blocks) if block.first <= layer), default=None)

    def _attends(self, block: int) -> bool:
        following = self.blocks[block + 1].first if block + 1 < len(self.blocks) else len(self.layers)
        return self.blocks[block].first < following

    def watched(self) -> list[nn.Module]:
        """Every module on which an experiment needs a hook."""
        outputs = [site.output for site in self.layers if site.output is not None]
        return list(dict.fromkeys([*outputs, *(block.module for block in self.blocks)]))


class Noting:
    """An editor that changes nothing and notes what passes: what W_O reads, the stream before blocks, block results."""

    def __init__(self) -> None:
        self.events: list[tuple[nn.Module, bool]] = []  # module, and whether it attends
        self.read: dict[int, Tensor] = {}  # by layer: what W_O read, [token, d_in], or the function's output
        self.stream: list[Tensor] = []  # by call of a block: what entered, [1, token, d_model]
        self.gave: list[object] = []  # by call of a block: what it returned
        self.n_calls = 0
        self.sites: Sites | None = None
        self.found: object = None  # what the run ended with, where somebody keeps it
        self._open: list[int] = []

    def attend(self, asked: Asked) -> Attended:
        """The model's own."""
        self.events.append((asked.module, True))
        output = asked.compute(asked.q, asked.k, asked.v)
        if self.sites is not None and self.sites.layers[self.n_calls].output is None:
            self.read[self.n_calls] = output[0].flatten(1)
        self.n_calls += 1
        return Attended(asked.q, asked.k, asked.v, output)

    def before(self, module: nn.Module, x: Tensor) -> None:
        """Note what W_O or a block reads."""
        last = self.n_calls - 1
        if self.sites is not None and last >= 0 and self.sites.layers[last].output is module:
            self.read[last] = x.reshape(-1, x.shape[-1])
            return
        self.events.append((module, False))
        self._open.append(len(self.stream))
        self.stream.append(x)
        self.gave.append(None)

    def after(self, module: nn.Module, output: object) -> None:
        """Note what a block gave."""
        if self.sites is not None and any(site.output is module for site in self.sites.layers):
            return
        if self._open:
            self.gave[self._open.pop()] = output


def noted(prepared: Prepared, sites: Sites | None) -> tuple[Record, Noting]:
    """Capture a text without changing anything, and note what passes the sites (or, without any, the blocks)."""
    model = prepared.model.model
    editing.install(blocks_in(model) if sites is None else sites.watched())
    noting = Noting()
    noting.sites = sites
    token = editing.editor.set(noting)
    try:
        return captured(prepared), noting
    finally:
        editing.editor.reset(token)


def blocks_in(model: nn.Module) -> list[nn.Module]:
    """Every element of the outermost lists of modules."""
    return [block for _, stack in outermost_lists(model) for block in stack]


def sites_of(prepared: Prepared) -> Sites:
    """Where this model can be edited; found from a run of this text when first asked, then remembered.

    Raises ExperimentError for an architecture that hides q and k: of it only words can be replaced.
    """
    model = prepared.model
    require_exact(model)
    with _lock:
        known = _known.get(model.model)
    if known is not None:
        return known
    record, noting = noted(prepared, None)
    sites = Sites(tuple(map(_site, range(len(record.layers)), record.layers)), _blocks(noting))
    if len(prepared.source.ids) >= _LEAST_TOKENS and all(layer.n_query >= _LEAST_TOKENS for layer in record.layers):
        with _lock:
            _known[model.model] = sites
    editing.install(sites.watched())
    return sites


def forget(model: LoadedModel) -> None:
    """Look again when next asked: parts were put in or taken out."""
    with _lock:
        _known.pop(model.model, None)


def require_exact(model: LoadedModel) -> None:
    """Raises ExperimentError for an architecture that hides q and k."""
    if not model.exact:
        raise ExperimentError(
            f"{model.facts.architecture} hides its attention: its weights can be seen and not be changed. Only words "
            "can be replaced in its text."
        )


_known: WeakKeyDictionary[nn.Module, Sites] = WeakKeyDictionary()
_lock = Lock()


def _blocks(noting: Noting) -> tuple[Block, ...]:
    blocks, n_calls = [], 0
    for module, attends in noting.events:
        if attends:
            n_calls += 1
        else:
            blocks.append(Block(module, n_calls))
    return tuple(blocks)


def _site(number: int, layer: object) -> Site:
    assert isinstance(layer, LayerTrace)
    o = layer.projections.o if layer.projections is not None else None
    closes = _closes(layer)
    n_heads, d_value = layer.output.shape[0], layer.output.shape[2]
    slots = torch.arange(n_heads * d_value, device=layer.output.device).view(n_heads, d_value)
    if o is None or o.module is None:  # not observed, or an adapter sits on it: both read what the function gives
        where: Where = "the function's output" if closes else ""
        return Site(number, where, n_heads, layer.n_kv_heads, closes, slots)
    between: Where = "W_O's input, after a norm" if o.norm else "W_O's input, after a gate" if o.gate else "W_O's input"
    kept = replace(o, written=o.written[:0], norm=None, gate=None)
    return Site(number, between, n_heads, layer.n_kv_heads, closes, o.slots.to(slots.device), o.module, kept)


def _closes(layer: LayerTrace) -> bool:
    checks = (
        compare("output", layer.steps(head).output, layer.output[head].float(), layer.q.dtype)
        for head in range(layer.n_heads)
    )
    return all(check.holds for check in checks)
