"""The editor of a batch: many runs of one text side by side, each with its own edits, the first usually with none."""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from jaxtyping import Float
from torch import Tensor, nn

from attention_core.experiment.attending import Change, attend_edited
from attention_core.experiment.compiling import OnInputs, OnRows, OnZ, Op, Stage
from attention_core.experiment.edits import ExperimentError
from attention_core.experiment.sites import Sites
from attention_core.formats.shown import short_repr
from attention_core.observe.editing import Asked, Attended


class Batch:
    """Applies the edits of each row while one forward pass runs; `finish` asks whether all of them were made.

    A layer in which one row edits scores, weights or values is computed by the formula for all of them: the base of an
    effect is computed as its edited layers are. `base` gives what W_O reads in an unedited run, by layer; otherwise
    row 0 is it. `keep` are the layers of which is kept what W_O read, every row's, after the edits: `read`; and the
    `stream` before them.
    `begins` is the block that runs first where the earlier ones are not computed again.
    """

    __repr__ = short_repr

    def __init__(
        self,
        sites: Sites,
        rows: Sequence[Sequence[Op]],
        *,
        base: Mapping[int, Tensor] | None = None,
        keep: frozenset[int] = frozenset(),
        begins: int = 0,
        watch: tuple[nn.Module, int, Callable[[object], None]] | None = None,
    ) -> None:
        self.sites, self.n_rows, self.base, self.keep = sites, len(rows), base, keep
        self.read: dict[int, Float[Tensor, "batch token channel"]] = {}
        self.stream: dict[int, Float[Tensor, "batch token d_model"]] = {}  # before blocks that begin at these layers
        self.weights: dict[int, Float[Tensor, "batch head query key"]] = {}  # of layers whose attention was edited
        self._block = begins - 1  # the block that was entered last
        self._done = sites.blocks[begins].first if begins else 0  # attention layers that have run, or were not needed
        self._ops: dict[tuple[int, Stage], list[list[object]]] = {}
        for i, ops in enumerate(rows):
            for op in ops:
                where = self._ops.setdefault((op.layer, op.stage), [[] for _ in rows])
                where[i].append(op.apply)
        self._left = set(self._ops)
        self._watch = watch  # a block, the layer that it begins with, and who is shown what it gives
        self._watching = False

    def attend(self, asked: Asked) -> Attended:
        """One attention call, with q, k, v, the weights and the output as each row's edits make them."""
        layer = self._done
        self._done += 1
        if layer >= len(self.sites.layers):
            raise ExperimentError("The model made more attention calls than when it was first observed.")
        q, k, v = self._inputs(layer, asked)
        changes = self._take(layer, "attention")
        if changes is None:
            output = asked.compute(q, k, v)
        else:
            made = attend_edited(asked, q, k, v, cast(list[list[Change]], changes), shared=q.shape[1] // k.shape[1])
            self.weights[layer], output = made.weights, made.output
        if self.sites.layers[layer].output is None:
            flat = self._z(layer, output.flatten(2))
            output = output if flat is None else flat.unflatten(2, output.shape[2:])
        return Attended(q, k, v, output)

    def before(self, module: nn.Module, x: Tensor) -> Tensor | None:
        """z, where W_O reads it; the residual stream, where a block does."""
        last = self._done - 1
        if last >= 0 and self.sites.layers[last].output is module:
            changed = self._z(last, x.reshape(self.n_rows, -1, x.shape[-1]))
            return None if changed is None else changed.reshape(x.shape)
        self._block += 1
        layer = self._done
        self._watching = self._watch is not None and self._watch[:2] == (module, layer)
        edited = (layer, "residual") in self._ops
        if not (edited or layer in self.keep) or self.sites.block_of(layer) != self._block:
            return None
        changes = self._take(layer, "residual")
        changed = None if changes is None else _by_row(x, cast(list[list[OnRows]], changes))
        if layer in self.keep:
            self.stream[layer] = x if changed is None else changed
        return changed

    def after(self, module: nn.Module, output: object) -> object:
        """What W_O wrote."""
        last = self._done - 1
        if self._watch is not None and self._watching and module is self._watch[0]:
            self._watching = False
            self._watch[2](output)
        if last < 0 or self.sites.layers[last].output is not module or not isinstance(output, Tensor):
            return None
        changes = self._take(last, "written")
        if changes is None:
            return None
        rows = output.reshape(self.n_rows, -1, output.shape[-1])
        return _by_row(rows, cast(list[list[OnRows]], changes)).reshape(output.shape)

    def finish(self) -> None:
        """Raises ExperimentError if an edit's place was never reached: the model has changed since it was observed."""
        if self._left:
            layer, stage = min(self._left)
            raise ExperimentError(
                f"An edit of layer {layer} ({stage}) was not made: the model does not run as it did when it was first "
                "observed."
            )

    def _take(self, layer: int, stage: Stage) -> list[list[object]] | None:
        self._left.discard((layer, stage))
        return self._ops.get((layer, stage))

    def _inputs(self, layer: int, asked: Asked) -> tuple[Tensor, Tensor, Tensor]:
        changes = self._take(layer, "inputs")
        if changes is None:
            return asked.q, asked.k, asked.v
        q, k, v = asked.q.clone(), asked.k.clone(), asked.v.clone()  # what other layers read again stays as it is
        for i, own in enumerate(cast(list[list[OnInputs]], changes)):
            for apply in own:
                q[i], k[i], v[i] = apply(q[i], k[i], v[i])
        return q, k, v

    def _z(self, layer: int, z: Float[Tensor, "batch token channel"]) -> Tensor | None:
        changes = self._take(layer, "z")
        changed = None
        if changes is not None:
            base = z[0] if self.base is None else self.base[layer]
            changed = z.clone()
            for i, own in enumerate(cast(list[list[OnZ]], changes)):
                for apply in own:
                    changed[i] = apply(changed[i], base)
        if layer in self.keep:
            self.read[layer] = z if changed is None else changed
        return changed


def _by_row(x: Float[Tensor, "batch token d"], changes: Sequence[Sequence[Callable[[Tensor], Tensor]]]) -> Tensor:
    changed = x.clone()
    for i, own in enumerate(changes):
        for apply in own:
            changed[i] = apply(changed[i])
    return changed
