"""What each edit does to the numbers of a run: from the edit as data to functions at their places in the model."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.capturing.capture import Prepared
from attention_core.experiment import weighing
from attention_core.experiment.attending import Change
from attention_core.experiment.edits import (
    AddDirection,
    Break,
    CutLink,
    Edit,
    ExperimentError,
    Patch,
    ReplaceToken,
    Strengthen,
    SwitchOff,
    ZeroValue,
)
from attention_core.experiment.second import Second
from attention_core.experiment.sites import Site, Sites
from attention_core.formats.shown import short_repr

Stage = Literal["residual", "inputs", "attention", "z", "written"]
# By stage: x [token, d_model]; q, k, v [head, token, d]; a Change; z [token, channel] of this run and of the base;
# what W_O wrote [token, d_model].
OnRows = Callable[[Tensor], Tensor]
OnInputs = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
OnZ = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Op:
    """One thing that is done to one run in one layer."""

    layer: int
    stage: Stage
    apply: OnRows | OnInputs | Change | OnZ

    __repr__ = short_repr


@dataclass(slots=True, eq=False)
class Compiler:
    """Makes functions of edits, for one text in one model. Second texts are run once each, when an edit needs them."""

    prepared: Prepared
    sites: Sites
    second: Callable[[str], Second]
    said: dict[str, None] = field(default_factory=dict)  # sentences: where edits are made, what else they touch

    def ops(self, edits: Iterable[Edit]) -> tuple[Op, ...]:
        """The functions of some edits, in order. Words are replaced before the run: `replaced`.

        Raises ExperimentError naming a layer, head or position that does not exist, or why an edit cannot be made.
        """
        return tuple(op for edit in edits for op in self._ops(edit))

    def _ops(self, edit: Edit) -> list[Op]:
        if isinstance(edit, ReplaceToken):
            return []
        for layer in edit.layers:
            self.sites.site(layer)
        if isinstance(edit, SwitchOff | Strengthen):
            site = self._head(edit.layer, edit.head)
            change = self._fill(edit, site) if isinstance(edit, SwitchOff) else _scaled(site, edit.head, edit.factor)
            return [Op(edit.layer, "z", change)]
        if isinstance(edit, CutLink):
            cut = weighing.cut(edit, lambda sentence: self.said.update({sentence: None}))
            return [Op(self._weighed(layer, edit.head).layer, "attention", cut) for layer in edit.layers]
        if isinstance(edit, Break):
            self._weighed(edit.layer, edit.head)
            if edit.other is not None:
                self._weighed(edit.layer, edit.other)
            return [Op(edit.layer, "attention", weighing.broken(edit))]
        if isinstance(edit, ZeroValue):
            site = self._weighed(edit.layer, edit.head)
            if edit.head is not None and site.n_kv_heads < site.n_heads:
                self._say(f"Layer {edit.layer}: heads share values; only what head {edit.head} reads is 0.")
            return [Op(edit.layer, "attention", weighing.without_value(edit))]
        if isinstance(edit, Patch):
            return [self._patch(edit)]
        if isinstance(edit, AddDirection):
            return [self._direction(edit)]
        raise ExperimentError(f"nothing is known of the edit {edit!r:.80}")

    def _say(self, sentence: str) -> None:
        if sentence:
            self.said[sentence] = None

    def _head(self, layer: int, head: int) -> Site:
        site = self.sites.require_head(layer, head)
        self._say(site.words)
        return site

    def _weighed(self, layer: int, head: int | None) -> Site:
        """A layer whose scores or weights are edited: only where the formula gives what the model computes."""
        site = self.sites.site(layer)
        if head is not None and not 0 <= head < site.n_heads:
            raise ExperimentError(f"layer {layer} has heads 0 … {site.n_heads - 1}; got {head}")
        if not site.in_formula:
            raise ExperimentError(
                f"Layer {layer}: the formula does not give what this model's attention computes, so its weights "
                "cannot be changed."
            )
        return site

    def _fill(self, edit: SwitchOff, site: Site) -> OnZ:
        own = site.slots[edit.head]
        if edit.fill == "zero":
            return lambda z, base: _with(z, own, torch.zeros_like(z[:, own]))
        if edit.fill == "resample":
            other = self.second(edit.texts[0]).read(edit.layer)[:, own]
            return lambda z, base: _with(z, own, _same_length(other, z, "resample", edit.texts[0]))
        if not edit.texts:
            return lambda z, base: _with(z, own, base[:, own].mean(dim=0).expand(len(z), -1))
        mean = torch.cat([self.second(text).read(edit.layer)[:, own] for text in edit.texts]).mean(dim=0)
        return lambda z, base: _with(z, own, mean.expand(len(z), -1))

    def _patch(self, edit: Patch) -> Op:
        second = self.second(edit.text)
        here, there = _pairs(edit)
        if edit.part == "residual":
            self._block(edit.layer)
            other = second.stream(edit.layer)
            return Op(edit.layer, "residual", lambda x: _rows_from(x, other, here, there, edit))
        assert edit.head is not None
        if edit.part == "z":
            own = self._head(edit.layer, edit.head).slots[edit.head]
            z2 = second.read(edit.layer)[:, own]
            return Op(edit.layer, "z", lambda z, base: _with(z, own, _rows_from(z[:, own], z2, here, there, edit)))
        site = self._weighed(edit.layer, edit.head)
        if edit.part == "pattern":
            return Op(edit.layer, "attention", weighing.pattern_from(edit, second.weights(edit.layer, edit.head)))
        return self._patch_input(edit, site, second, here, there)

    def _patch_input(
        self, edit: Patch, site: Site, second: Second, here: list[int] | None, there: list[int] | None
    ) -> Op:
        assert edit.head is not None
        part = cast(Literal["q", "k", "v"], edit.part)
        shared = site.n_heads // site.n_kv_heads
        own = edit.head if part == "q" else edit.head // shared
        if part != "q" and shared > 1:
            first = own * shared
            self._say(
                f"Layer {edit.layer}: heads {first} to {first + shared - 1} share this {part}, so all of them are "
                "edited."
            )
        if part != "v" and here != there:
            self._say(f"Layer {edit.layer}: this {part} is taken as it enters attention, with the place it had there.")
        other = getattr(second.layer(edit.layer), part)[own]

        def apply(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            tensors = {"q": q, "k": k, "v": v}
            changed = tensors[part].clone()
            changed[own] = _rows_from(changed[own], other, here, there, edit)
            made = tensors | {part: changed}
            return made["q"], made["k"], made["v"]

        return Op(edit.layer, "inputs", apply)

    def _direction(self, edit: AddDirection) -> Op:
        self._block(edit.layer)
        direction = edit.factor * (self.second(edit.plus).stream(edit.layer)[-1].float())
        direction = direction - edit.factor * self.second(edit.minus).stream(edit.layer)[-1].float()

        def apply(x: Tensor) -> Tensor:
            places = list(edit.positions) or list(range(len(x)))
            _require_places(places, len(x), edit)
            changed = x.clone()
            changed[places] = (changed[places].float() + direction).to(x.dtype)
            return changed

        return Op(edit.layer, "residual", apply)

    def _block(self, layer: int) -> int:
        block = self.sites.block_of(layer)
        if block is None:
            first = [site.layer for site in self.sites.layers if self.sites.block_of(site.layer) is not None]
            raise ExperimentError(
                f"The residual stream is edited before a block; none begins at layer {layer}. Blocks begin at layers "
                f"{', '.join(map(str, first)) or '(none was observed)'}."
            )
        return block


def replaced(prepared: Prepared, edits: Iterable[Edit]) -> Prepared:
    """The text with its replaced tokens; of the same length.

    Raises ExperimentError for a place that does not exist or a model without a [MASK].
    """
    for edit in edits:
        if isinstance(edit, ReplaceToken):
            prepared = _replaced(prepared, edit)
    return prepared


def _replaced(prepared: Prepared, edit: ReplaceToken) -> Prepared:
    model = prepared.model
    side = prepared.decoder if edit.target else prepared.source
    tokenizer = model.target_tokenizer if edit.target else model.tokenizer
    if side is None:
        raise ExperimentError(f"{model.facts.name} has no decoder whose token could be replaced.")
    if edit.position >= len(side.ids):
        raise ExperimentError(f"position must be 0 … {len(side.ids) - 1}; got {edit.position}")
    token = tokenizer.mask_token_id if edit.token is None else edit.token
    if token is None:
        raise ExperimentError(f"{model.facts.name} has no [MASK]: choose the number of another token.")
    ids = [*side.ids[: edit.position], token, *side.ids[edit.position + 1 :]]
    (new,) = weighing.tokens_for(model, [token], target=edit.target)
    old = side.tokens[edit.position]
    tokens = (*side.tokens[: edit.position], replace(new, span=old.span), *side.tokens[edit.position + 1 :])
    side = replace(side, ids=ids, tokens=tokens)
    return replace(prepared, decoder=side) if edit.target else replace(prepared, source=side)


def _with(z: Tensor, channels: Tensor, values: Tensor) -> Tensor:
    changed = z.clone()
    changed[:, channels] = values.to(z.dtype)
    return changed


def _scaled(site: Site, head: int, factor: float) -> OnZ:
    own = site.slots[head]
    return lambda z, base: _with(z, own, z[:, own] * factor)


def _same_length(other: Tensor, here: Tensor, what: str, text: str) -> Tensor:
    if len(other) != len(here):
        raise ExperimentError(
            f"“{what}” needs texts of one length: this one has {len(here)} tokens, “{text[:60]}” has {len(other)}. "
            "Nothing is trimmed; patch z and give the places that belong together."
        )
    return other


def _pairs(edit: Patch) -> tuple[list[int] | None, list[int] | None]:
    if not edit.places:
        return None, None
    return [here for here, _ in edit.places], [there for _, there in edit.places]


def _rows_from(
    x: Float[Tensor, "token d"], other: Tensor, here: list[int] | None, there: list[int] | None, edit: Patch
) -> Float[Tensor, "token d"]:
    """x with some rows, or all, of the other run's."""
    if here is None or there is None:
        return _same_length(other, x, f"patch {edit.part}", edit.text).to(x.dtype)
    _require_places(here, len(x), edit)
    _require_places(there, len(other), edit)
    changed = x.clone()
    changed[here] = other[there].to(x.dtype)
    return changed


def _require_places(places: list[int], n: int, edit: Edit) -> None:
    if wrong := [place for place in places if place >= n]:
        raise ExperimentError(f"“{edit.name}”: positions must be 0 … {n - 1}; got {wrong[0]}")
