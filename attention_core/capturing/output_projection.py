"""The search for what reads an attention call's output: W_O, a norm or a gate before it, the sum with the stream.

As in `capturing/search` nothing is known of architectures: what was observed is compared with what the heads gave, and
verified from the heads' outputs and the weights.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.capturing.adapted import is_adapted
from attention_core.capturing.parts import Parts
from attention_core.capturing.recognise import alike, closeness, magnitude, norm_rule, weight_of, windows
from attention_core.observe.seen import FedNorm, FedOutput, Seen, probe_rows
from attention_core.record.norms import Norm
from attention_core.record.projections import GATES, Gate, OutputProjection, Projection, Residual


class OutputSearch:
    """What was fed one call's output, and what was made of it."""

    def __init__(self, seen: Seen, parts: Parts) -> None:
        self.seen = seen
        self.parts = parts
        self.close = closeness(seen.q.dtype)

    def output_projection(self) -> OutputProjection | None:
        """The map whose output is explained by the heads' outputs, among those fed after the call; None if none is."""
        heads = self.seen.output[:, probe_rows(self.seen.output.shape[1])].float()
        for fed in self.seen.after:
            for o in self._readings(fed, heads):
                rows = torch.tensor(probe_rows(fed.output.shape[0]), device=heads.device)
                if alike(o.of(self.seen.output, rows), fed.output[rows].float(), 2 * self.close):
                    return o if fed is not self.seen.after[-1] or self._goes_on(fed.output[rows].float()) else None
        return None

    def _goes_on(self, written: Float[Tensor, "probe d_model"]) -> bool:
        """Is what the modules around W_O gave what W_O wrote, a norm of it, or its sum with what was read?

        Otherwise somebody (a hook, a wrapper) has changed it, and W_O's output is not what the layer writes.
        """
        known = [written, *(x[:, 0].float() for norm in self.seen.following for x in (norm.before, norm.after))]
        rows = probe_rows(self.seen.output.shape[1])
        for x in (*self.seen.entered, *(fed.x for fed in self.seen.maps)):
            if x.shape == (self.seen.output.shape[1], written.shape[1]):
                known.append(x[rows].float() + written)
        return all(any(alike(one.float(), other, 2 * self.close) for other in known) for one in self.seen.given)

    def residual(self, q: Projection | None, o: OutputProjection | None) -> Residual | None:
        """The norm that is fed next reads the stream: is that what was read before, plus what W_O wrote?"""
        if o is None:
            return None
        n_tokens = o.written.shape[0]
        rows = probe_rows(n_tokens)
        added, norm = o.written[rows].float(), None
        read = [x for x in self.seen.entered if x.shape == o.written.shape]
        x = [q.x] if q is not None and q.x.shape == o.written.shape else []
        streams = []  # what may be the sum, and the norm that reads it
        for following in self.seen.following:
            if norm is None and alike(following.before[:, 0].float(), added, self.close):
                norm = norm_rule(following, self.close)
                if norm is None:
                    return None
                norm, added = replace(norm, name="norm after W_O"), following.after[:, 0].float()
            else:
                streams.append((following.before[:, 0].float(), following))
        if self.seen.read_next is not None:
            streams.append((self.seen.read_next.float(), None))
        for stream, reader in streams:
            for pre in (*read, *x):
                if stream.shape != added.shape:
                    continue
                change = stream - pre[rows].float()
                factor = float((change * added).sum()) / max(1e-30, float((added * added).sum()))
                factor = 1.0 if abs(factor - 1) < 1e-3 else factor
                far = float((change - factor * added).abs().max())
                if abs(factor) > 1e-2 and far <= 2 * self.close * magnitude(stream):
                    return self._residual(pre, factor, norm, reader, read)
        return None

    def _residual(
        self,
        pre: Float[Tensor, "token d_model"],
        factor: float,
        norm: Norm | None,
        reader: FedNorm | None,
        read: list[Tensor],
    ) -> Residual:
        if any(pre is stream for stream in read):
            return Residual(pre, factor, norm, "norm, then attention", None)
        if reader is None:
            return Residual(pre, factor, norm, "no norm of the stream", None)
        after = norm_rule(reader, self.close)
        after = None if after is None else replace(after, name="norm of the sum")
        return Residual(pre, factor, norm, "attention, then norm", after)

    def _readings(self, fed: FedOutput, heads: Float[Tensor, "head probe d_value"]) -> Iterator[OutputProjection]:
        written = fed.output[probe_rows(fed.output.shape[0])]
        name = self.parts.name_of(fed.module)
        d_value = heads.shape[2]
        in_order = torch.arange(heads.shape[0] * d_value, device=heads.device).view(-1, d_value)
        if is_adapted(fed.module):
            every = torch.arange(written.shape[1], device=heads.device)[None]
            part = self.parts.adapted(fed.module, fed.probe, every)
            plain = OutputProjection(name, part.weight, part.bias, True, in_order, fed.output, base=part.base)
        else:
            weight, bias, transposed = weight_of(fed.module, fed.probe, written)
            plain = OutputProjection(name, weight, bias, transposed, in_order, fed.output, module=fed.module)
        if fed.norm is not None:
            match = windows(heads, fed.norm.before.flatten(1), self.close)
            rule = norm_rule(fed.norm, self.close)
            if match is not None and rule is not None:
                yield replace(plain, slots=match[0], norm=replace(rule, name="norm before W_O"))
            return
        side_by_side = heads.transpose(0, 1).flatten(1)
        if alike(fed.probe.float(), side_by_side, self.close):  # first: shared heads may give the same numbers
            yield plain
            return
        match = windows(heads, fed.probe, self.close)
        if match is not None and abs(match[1] - 1) < self.close:
            yield replace(plain, slots=match[0])
            return
        for gate in self._gates(fed, heads):
            yield replace(plain, gate=gate)

    def _gates(self, fed: FedOutput, heads: Float[Tensor, "head probe d_value"]) -> Iterator[Gate]:
        """W_O's input as the joined outputs times a function of some map's output, a number a channel or a head."""
        n_heads, n_probes, d_value = heads.shape
        if fed.probe.shape[1] != n_heads * d_value:
            return
        wanted = fed.probe.float().unflatten(1, (n_heads, d_value)).transpose(0, 1)
        maps = [other for other in (*self.seen.maps, *self.seen.late) if other.probe.shape[0] == n_probes]
        for other in maps:
            for function, apply in GATES.items():
                for width in {d_value, 1}:
                    if other.probe.shape[1] < width:
                        continue
                    gates = apply(other.probe.float()).unfold(1, width, 1).transpose(0, 1)  # [window, probe, width]
                    far = [
                        (head * gates - want).abs().amax(dim=(1, 2)).min(dim=0)
                        for head, want in zip(heads, wanted, strict=True)
                    ]
                    if all(
                        float(least.values) <= 2 * self.close * max(1.0, float(wanted.abs().max())) for least in far
                    ):
                        starts = torch.stack([least.indices for least in far])
                        columns = starts[:, None] + torch.arange(width, device=heads.device)
                        columns = columns.expand(n_heads, d_value).reshape(1, -1)
                        yield Gate(self.parts.part_of(other, columns), function)  # type: ignore[arg-type]
