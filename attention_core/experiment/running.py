"""Running a text many times under different edits: whole, or from the first block that an edit can have changed.

Nothing that cannot have changed is computed twice, where a run that begins in the middle equals the whole run to the
bit. That is tried once for each model and remembered; elsewhere whole runs are made. The blocks before are replaced by
what they gave, in a shallow copy of the model: the model that is shared is not touched.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_core.capturing.capture import Prepared, accepted_by, prepare
from attention_core.experiment.batch import Batch
from attention_core.experiment.compiling import Compiler, Op, replaced
from attention_core.experiment.edits import Edit, ExperimentError, ReplaceToken
from attention_core.experiment.second import Second
from attention_core.experiment.sites import Noting, Sites, forget, noted, sites_of
from attention_core.formats.shown import short_repr
from attention_core.inside.of_accelerate import unwrapped
from attention_core.inside.of_torch import AnyModule, shallow_copy
from attention_core.models.facts import LoadedModel
from attention_core.observe import editing
from attention_core.record.proof import compare
from attention_core.record.record import Record

TOKENS_AT_ONCE = 448  # of all rows of a batch: a slice is short enough for a bystander's sentence to come between


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a batch of runs ended with."""

    n_rows: int
    hidden: Float[Tensor, "batch token d_model"] | None  # the last vector of each token, where the model returns them
    said: Mapping[str, Tensor]  # the numbers of a head for a task, by transformers' name, in float32
    read: Mapping[int, Float[Tensor, "batch token channel"]]  # what W_O read, of the layers that were asked for
    stream: Mapping[int, Float[Tensor, "batch token d_model"]]  # before the blocks that begin at these layers
    begins: int  # the block from which it was computed; 0 is a whole run

    __repr__ = short_repr

    def as_the_first(self) -> Bool[Tensor, " batch"]:
        """Which runs ended as the first one did, to the bit."""
        same = torch.ones(self.n_rows, dtype=torch.bool)
        for tensor in (self.hidden, *self.said.values()):
            if tensor is not None:
                same &= (tensor == tensor[:1]).flatten(1).all(dim=1).cpu()
        return same


@dataclass(eq=False)
class Runs:
    """One text in one model, to be run again and again. Texts that edits refer to are run once."""

    prepared: Prepared
    resume: bool = True  # begin in the middle where that gives the same bits
    _seconds: dict[str, Second] = field(default_factory=dict, repr=False)
    _noting: Noting | None = field(default=None, repr=False)

    __repr__ = short_repr

    @property
    def model(self) -> LoadedModel:
        """The model that is run."""
        return self.prepared.model

    @cached_property
    def sites(self) -> Sites:
        """Where it can be edited. Raises ExperimentError where it cannot."""
        return sites_of(self.prepared)

    @cached_property
    def compiler(self) -> Compiler:
        """Makes functions of edits, and remembers what is to be said of them."""
        return Compiler(self.prepared, self.sites, self.second)

    @cached_property
    def record(self) -> Record:
        """The unedited run, as a capture keeps it."""
        return noted(self.prepared, self.sites)[0]

    def second(self, text: str) -> Second:
        """Another text's unedited run."""
        if text not in self._seconds:
            own = self.prepared
            other = prepare(
                self.model,
                text,
                target=own.target or None,
                source_language=own.languages.source,
                target_language=own.languages.target,
            )
            record, noting = noted(other, self.sites)
            self._seconds[text] = Second(record, noting, self.sites)
        return self._seconds[text]

    def run(
        self,
        variants: Sequence[Sequence[Edit]],
        *,
        more: Sequence[Sequence[Op]] | None = None,
        keep: frozenset[int] = frozenset(),
        watch: tuple[nn.Module, int, Callable[[object], None]] | None = None,
    ) -> Outcome:
        """One batch: a row for each of `variants`, each a list of edits; `more` are functions that go with them.

        Raises ExperimentError for an edit that cannot be made.
        """
        more = more or [()] * len(variants)
        distinct, places = _distinct(variants, more)
        if len(distinct) < len(variants):  # equal edits are one run: nothing differs from itself, by no rounding
            one = self.run([variants[i] for i in distinct], more=[more[i] for i in distinct], keep=keep, watch=watch)
            return _spread(one, places)
        texts = [replaced(self.prepared, edits) for edits in variants]
        if not self.model.exact:
            if any(not isinstance(edit, ReplaceToken) for edits in variants for edit in edits):
                sites_of(self.prepared)  # says why not
            return _outcome(self.model, _forward(self.model, _rows_of(texts)), None, 0)
        ops = [list(self.compiler.ops(edits)) for edits in variants]
        for own, given in zip(ops, more, strict=True):
            own.extend(given)
        begins = 0 if any(text is not self.prepared for text in texts) else self._begins(ops)
        batch = Batch(self.sites, ops, keep=keep, begins=begins, watch=watch)
        running = self._from_block(begins, len(ops)) if begins else None
        editing.install(self.sites.watched())
        token = editing.editor.set(batch)
        try:
            found = _forward(self.model, _rows_of(texts), running)
            batch.finish()
        except ExperimentError:
            forget(self.model)
            raise
        finally:
            editing.editor.reset(token)
        return _outcome(self.model, found, batch, begins)

    def base_read(self) -> Mapping[int, Float[Tensor, "token channel"]]:
        """What W_O reads in the unedited run, by layer."""
        return self._base().read

    def block_output(self, variants: Sequence[Sequence[Edit]], layer: int) -> Float[Tensor, "batch token d_model"]:
        """What the block that holds a layer gives, for each of `variants`; the last block's before any norm after it.

        Raises ExperimentError where no block was observed.
        """
        block = self.sites.block_holding(layer)
        if block is None:
            raise ExperimentError(f"Layer {layer} lies in no block whose output could be compared.")
        module, found = self.sites.blocks[block].module, []

        def keep(output: object) -> None:
            found.append(output[0] if isinstance(output, tuple) else output)

        self.run(variants, watch=(module, self.sites.blocks[block].first, keep))
        if len(found) != 1 or not isinstance(found[0], Tensor):
            raise ExperimentError(f"The block of layer {layer} gives something else than one stream.")
        return found[0]

    @property
    def resumes(self) -> bool:
        """Does a run from the middle give the same bits in this model? Tried when first asked."""
        if not self.resume or not _can_begin_late(self.sites):
            return False
        with _lock:
            known = _resumes.get(self.model.model)
        if known is None:
            known = self._try()
            with _lock:
                _resumes[self.model.model] = known
        return known

    def rows_at_once(self, edits: Sequence[Edit] = ()) -> int:
        """How many rows go into one batch, the base included, where these edits are made or others in later layers.

        About `TOKENS_AT_ONCE` tokens of a whole run, more of one from the middle, which takes less; and at least four.
        """
        n_tokens = len(self.prepared.source.ids) + len(self.prepared.decoder.ids if self.prepared.decoder else ())
        share, layers = 1.0, [layer for edit in edits for layer in edit.layers]
        if layers and self.model.exact and not any(isinstance(edit, ReplaceToken) for edit in edits) and self.resumes:
            n_blocks = len(self.sites.blocks)
            share = 1 - (self.sites.block_holding(min(layers)) or 0) / n_blocks
        return max(4, int(TOKENS_AT_ONCE / share) // max(1, n_tokens))

    def work_between(self, layer: int, later: int) -> int:
        """Multiply-adds that a row costs, about, in the blocks that run from `layer` on and not from `later` on."""
        first, last = self.sites.block_holding(layer), self.sites.block_holding(later)
        if first is None or last is None or not self.resumes:
            return 0  # whole runs
        blocks = self.sites.blocks[first:last]
        weights = sum(parameter.numel() for block in blocks for parameter in block.module.parameters())
        return weights * len(self.prepared.source.ids)

    def _begins(self, ops: Sequence[Sequence[Op]]) -> int:
        """The first block that an edit can have changed; 0 where there is nothing to leave out."""
        layers = [op.layer for own in ops for op in own]
        block = self.sites.block_holding(min(layers)) if layers else None
        return block if block and self.resumes else 0

    def _base(self) -> Noting:
        """What the blocks of the unedited run gave."""
        if self._noting is None:
            noting = Noting()
            noting.sites = self.sites
            editing.install(self.sites.watched())
            token = editing.editor.set(noting)
            try:
                noting.found = _outcome(self.model, _forward(self.model, _rows_of([self.prepared])), None, 0)
            finally:
                editing.editor.reset(token)
            self._noting = noting
        return self._noting

    def _try(self) -> bool:
        """A run from the second block, from the middle and from the last, each against the whole run, bit by bit.

        And several rows at once from there: what one block hands to a later one past the stream (Gemma 3n's keys) has
        one row, that of the run in which it was made.
        """
        whole = self._base().found
        n = len(self.sites.blocks)
        for begins in sorted({1, n // 2, n - 1} - {0}):
            for n_rows in (1, 3):
                token = editing.editor.set(Batch(self.sites, [()] * n_rows, begins=begins))
                try:
                    found = _forward(self.model, _rows_of([self.prepared] * n_rows), self._from_block(begins, n_rows))
                except Exception:  # whatever a modelling file does with the blocks that are not there: then whole runs
                    return False
                finally:
                    editing.editor.reset(token)
                again = _outcome(self.model, found, None, begins)
                if not isinstance(whole, Outcome) or not _same(whole, again, to_the_bit=n_rows == 1):
                    return False
        return True

    def _from_block(self, begins: int, n_rows: int) -> nn.Module:
        """A copy of the model whose first blocks give what they gave; the parameters are shared."""
        noting = self._base()
        done = {
            id(block.module): _Done(block.module, _for_rows(gave, n_rows))
            for block, gave in zip(self.sites.blocks[:begins], noting.gave, strict=False)
        }
        return _with_parts(_runner(self.model), done)


_resumes: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()
_lock = Lock()


class _Done(nn.Module):
    """Stands where a block stood and gives what that gave; whoever asks for anything else asks the block."""

    def __init__(self, block: nn.Module, gave: object) -> None:
        super().__init__()
        self.__dict__["block"], self.__dict__["gave"] = block, gave

    def forward(self, *_: object, **__: object) -> object:
        return self.__dict__["gave"]

    def __getattr__(self, name: str) -> AnyModule:
        return getattr(self.__dict__["block"], name)


def _distinct(variants: Sequence[Sequence[Edit]], more: Sequence[Sequence[Op]]) -> tuple[list[int], list[int]]:
    """The first of each group of equal rows, and of each row which of those it is."""
    keys = [(tuple(edits), tuple(map(id, ops))) for edits, ops in zip(variants, more, strict=True)]
    first = {key: i for i, key in reversed(list(enumerate(keys)))}
    distinct = sorted(first.values())
    return distinct, [distinct.index(first[key]) for key in keys]


def _spread(outcome: Outcome, places: list[int]) -> Outcome:
    return Outcome(
        len(places),
        None if outcome.hidden is None else outcome.hidden[places],
        {name: tensor[places] for name, tensor in outcome.said.items()},
        {layer: tensor[places] for layer, tensor in outcome.read.items()},
        {layer: tensor[places] for layer, tensor in outcome.stream.items()},
        outcome.begins,
    )


def _can_begin_late(sites: Sites) -> bool:
    """Blocks that are called once each can be told apart; a block that is called again and again cannot."""
    modules = [block.module for block in sites.blocks]
    return len(modules) > 1 and len(set(modules)) == len(modules)


def _with_parts(module: nn.Module, done: Mapping[int, nn.Module]) -> nn.Module:
    """A shallow copy in which some parts are replaced; parts without any are the module's own."""
    own = {name: _replaced_part(part, done) for name, part in module.named_children()}
    if all(new is module.get_submodule(name) for name, new in own.items()):
        return module
    copied = unwrapped(shallow_copy(module))
    for name, part in own.items():
        copied.register_module(name, part)  # its table of parts is its own
    return copied


def _replaced_part(part: nn.Module, done: Mapping[int, nn.Module]) -> nn.Module:
    return done[id(part)] if id(part) in done else _with_parts(part, done)


def _for_rows(gave: object, n_rows: int) -> object:
    if isinstance(gave, Tensor):
        return gave.expand(n_rows, *gave.shape[1:]) if gave.dim() and gave.shape[0] == 1 else gave
    if isinstance(gave, tuple):
        return tuple(_for_rows(one, n_rows) for one in gave)
    return gave


def _rows_of(texts: Sequence[Prepared]) -> dict[str, Tensor]:
    rows = [text.inputs() for text in texts]
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}


def _runner(model: LoadedModel) -> nn.Module:
    """What is called: the body, or a model for a task with its head."""
    return model.model if model.task is None else model.task.whole


def _forward(model: LoadedModel, inputs: Mapping[str, Tensor], running: nn.Module | None = None) -> object:
    model.hold()
    whole: AnyModule = _runner(model)
    accepted = accepted_by(whole)
    if model.task is not None:
        inputs = model.task.inputs(inputs)
    options: dict[str, bool] = {}
    if "use_cache" in accepted or ("kwargs" in accepted and model.task is None):
        options["use_cache"] = False
    with torch.inference_mode():
        return (running or whole)(**{name: ids.to(model.device) for name, ids in inputs.items()}, **options)


def _outcome(model: LoadedModel, found: object, batch: Batch | None, begins: int) -> Outcome:
    hidden = getattr(found, "last_hidden_state", None) if model.task is None else None
    names = ("logits", "start_logits", "end_logits") if model.task is not None else ()
    said = {name: getattr(found, name, None) for name in names}
    known = [tensor for tensor in (hidden, *said.values()) if isinstance(tensor, Tensor)]
    return Outcome(
        len(known[0]) if known else 0,
        hidden if isinstance(hidden, Tensor) else None,
        {name: tensor.float() for name, tensor in said.items() if isinstance(tensor, Tensor)},
        {} if batch is None else batch.read,
        {} if batch is None else batch.stream,
        begins,
    )


def _same(one: Outcome, other: Outcome, *, to_the_bit: bool) -> bool:
    """Did one run end as each row of another batch: to the bit, or as alike as two runs of one text are?"""
    if (one.hidden is None) != (other.hidden is None) or set(one.said) != set(other.said):
        return False
    pairs = [(one.said[name], other.said[name]) for name in one.said]
    if one.hidden is not None and other.hidden is not None:
        pairs.append((one.hidden, other.hidden))
    if to_the_bit:
        return bool(pairs) and all(torch.equal(a, b) for a, b in pairs)
    return bool(pairs) and all(
        a.shape[1:] == b.shape[1:] and compare("rows", a.float().expand_as(b), b.float(), a.dtype).holds
        for a, b in pairs
    )
