"""What was computed around each attention call: linear maps and norms, observed while the model runs.

Hooks are put on a model once and stay dormant until a capture sets its `watcher`. Nothing is looked up by name: which
maps made q, k and v, and which one reads the output, is told by when they ran and by their numbers. Only inputs and a
few rows of outputs are kept; the rest can be computed again from the weights.

A module that holds a map of its own shape and gives something else than it (an adapter, whose output is added to its
base layer's) is one map: what it gives is what goes on. What the modules around the output projection give is kept too:
somebody's own hook may have changed it. Both are looked for only where somebody else had a hand in: transformers' own
classes, as they are written, hand on what their parts gave, and watching all of them would double a short text's cost.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from weakref import WeakKeyDictionary, WeakSet, ref

import torch
from torch import Tensor, nn

from attention_core.formats.shown import short_repr
from attention_core.inside.of_torch import (
    holds_buffers_alone,
    ids_of_parts,
    last_forward_hook,
    own_weight,
    run_last,
    take_off,
)
from attention_core.observe.seen import FedMap, FedNorm, FedOutput, Seen, probe_rows
from attention_core.observe.whose import changed_by_hand, holds_parts, somebody_elses

# Shapes that nobody foresaw leave a map unobserved; they must not stop the model's own run. No `suppress`: entered a
# hundred times a run, it costs as much as what it guards.
_UNFORESEEN = (RuntimeError, ValueError, IndexError, TypeError)
_MOST_RECENT = 24  # maps and norms that may lie between two attention calls and still matter
_MOST_FOLLOWING = 2  # norms after W_O: one on what it wrote, one on the residual stream
_MOST_AFTER = 2  # maps of the right width after a call that are kept until their numbers tell


@dataclass(slots=True, eq=False)
class Watcher:
    """Follows one forward pass. One per running capture."""

    recent: deque[tuple[nn.Module, Tensor, Tensor]] = field(default_factory=lambda: deque(maxlen=_MOST_RECENT))
    tables: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    calls: list[Seen] = field(default_factory=list)
    _between: tuple[FedNorm, Tensor] | None = None  # a norm fed with the attention's output, and what it gave

    __repr__ = short_repr

    def fed_map(self, module: nn.Module, x: Tensor, output: Tensor) -> None:
        """A linear map has run: keep its input [token, d_in] and a few rows of its output."""
        last = self.calls[-1] if self.calls else None
        if last is not None:
            last.later = bool(last.after)
            if not last.closed:
                self._close(last, module, x, output)
            elif last.read_next is None:
                last.read_next = _rows_of(x)
        self.recent.append((module, x, _rows_of(output)))

    def ended(self, module: nn.Module, tensors: list[Tensor], output: Tensor) -> None:
        """A module with parts has run: is it one map with its adapter, or does it hold the output projection?"""
        last = self.calls[-1] if self.calls else None
        if len(tensors) == 1 and (last is None or last.module not in _parts(module)):
            self._as_one_map(module, _parts(module), tensors[0], output)
        if last is None or last.later or not last.after or module in _listed:
            return
        if _flat(output).shape == last.after[-1].output.shape and last.after[-1].module in _parts(module):
            last.given.append(_rows_of(output))

    def _as_one_map(self, module: nn.Module, parts: WeakSet[nn.Module], x: Tensor, output: Tensor) -> None:
        """Take the module for the map that it holds, where the two give different numbers."""
        shape = (x.shape[-1], output.shape[-1])
        held = [fed[1:] for fed in self.recent if fed[0] in parts and not is_norm(fed[0])]
        read, base = next(((r, g) for r, g in held if (r.shape[-1], g.shape[-1]) == shape), (None, None))
        if read is None or base is None:
            return
        rows = _rows_of(output)
        if base.shape != rows.shape or (torch.equal(base, rows) and torch.equal(_rows_of(read), _rows_of(x))):
            return
        kept = [fed for fed in self.recent if fed[0] not in parts]
        self.recent.clear()
        self.recent.extend([*kept, (module, x, rows)])
        last = self.calls[-1] if self.calls else None
        if last is None:
            return
        last.late = [fed for fed in last.late if fed.module not in parts]
        if any(fed.module in parts for fed in last.after):
            last.after = [fed for fed in last.after if fed.module not in parts]
            last.closed, last.read_next = False, None
            last.later = bool(last.after)
            self._close(last, module, x, output)

    def fed_norm(self, module: nn.Module, x: Tensor, output: Tensor) -> None:
        """A norm has run: keep what it read and gave, as part of the last call if it read that call's output."""
        last = self.calls[-1] if self.calls else None
        if last is not None and not last.closed and _shares(x, last.output):
            before, after = _as_groups(x, last.q.shape[1]), _as_groups(output, last.q.shape[1])
            if before is not None and after is not None:
                self._between = (FedNorm(module, before, after), output)
        elif last is not None and last.after and len(last.following) < _MOST_FOLLOWING:
            if _flat(x).shape[0] == last.q.shape[1]:
                last.following.append(FedNorm(module, _rows_of(x)[:, None], _rows_of(output)[:, None]))
                if last.entered and _sums_up(last):
                    last.entered = ()
        self.recent.append((module, x, output))

    def gave_table(self, cos: Tensor, sin: Tensor) -> None:
        """A module without parameters gave cosines and sines, as rotary embeddings do."""
        if not any(cos is known for known, _ in self.tables):
            self.tables.append((cos, sin))

    def norm_that_gave(self, output: Tensor) -> FedNorm | None:
        """The norm that ran last and gave this tensor [token, channel], with every token; None if none did."""
        try:
            for module, x, given in reversed(self.recent):
                if is_norm(module) and _shares(given, output) and _flat(given).shape == output.shape:
                    return FedNorm(module, _flat(x)[:, None], output[:, None])
        except _UNFORESEEN:
            pass
        return None

    def attended(self, module: nn.Module, q: Tensor, k: Tensor, v: Tensor, output: Tensor) -> Seen:
        """Pick what belongs to this call from what ran since the last one, and forget the rest."""
        seen = Seen(module, q[0], k[0], v[0], output[0].transpose(0, 1))
        try:
            self._pick(seen)
        except _UNFORESEEN:
            pass
        self.recent.clear()
        self._between = None
        self.calls.append(seen)
        return seen

    def _pick(self, call: Seen) -> None:
        parts = _parts(call.module)
        n_query, n_key = call.q.shape[1], call.k.shape[1]
        inside = [fed for fed in self.recent if fed[0] in parts]
        maps, norms = _sorted_out(inside or self.recent, n_query, n_key)
        call.entered = tuple(
            _flat(x)
            for norm, x, output in self.recent
            if is_norm(norm) and norm not in parts and any(_shares(output, fed.x) for fed in maps)
        )
        for earlier in self.calls:  # layers that read an earlier layer's keys and values again
            if _shares(call.k, earlier.k) or _shares(call.v, earlier.v):
                maps += earlier.maps
                norms += earlier.norms
                break
        call.maps, call.norms = tuple(maps), tuple(norms)
        call.tables = tuple(
            (cos, sin)
            for cos, sin in ((_flat(cos), _flat(sin)) for cos, sin in self.tables)
            if cos.shape == sin.shape and cos.shape[0] in (n_query, n_key)
        )

    def _close(self, call: Seen, module: nn.Module, x: Tensor, output: Tensor) -> None:
        """Is this the map that reads the attention's output? Shared memory says so at once, numbers say it later."""
        rows = _flat(x)
        n_query = call.q.shape[1]
        if rows.shape[0] != n_query or _flat(output).shape[0] != n_query:
            return
        norm = self._between[0] if self._between is not None and _shares(x, self._between[1]) else None
        fed = FedOutput(module, _rows_of(x), _flat(output), norm)
        if norm is not None or _shares(x, call.output):
            call.after, call.closed = [fed], True
            call.given, call.later = [], False
            call.late.clear()
            return
        if rows.shape[1] == call.output.shape[0] * call.output.shape[2]:  # a copy of it, or gated
            call.after.append(fed)
            call.given, call.later = [], False
            call.closed = len(call.after) == _MOST_AFTER
        if not call.closed and module in _parts(call.module) and not call.late[_MOST_AFTER:]:
            call.late.append(FedMap(module, rows, _rows_of(output)))


watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)

_lock = Lock()
_Forward = Callable[..., object]
_Known = tuple["ref[nn.Module]", tuple[int, ...], Callable[..., None] | None, _Forward | None]
# By model: module, its parts, our hook, and its class's `forward` where we put no hook on as it is as it was written.
_installed: WeakKeyDictionary[nn.Module, list[_Known]] = WeakKeyDictionary()
_parts_of: WeakKeyDictionary[nn.Module, WeakSet[nn.Module]] = WeakKeyDictionary()
_listed: WeakSet[nn.Module] = WeakSet()  # members of a list, so whole layers: they give more than their attention wrote


def install(model: nn.Module) -> None:
    """Put the dormant hooks on a model's maps, norms, rotary tables and what holds them, after anybody else's hooks.

    Asked before every capture: in a notebook somebody may have put an adapter in, or a hook on, since the last one.
    """
    if _as_they_were(_installed.get(model, ())):
        return
    hooks = [(module, _hook_for(module)) for module in model.modules()]
    new = [(module, hook) for module, hook in hooks if hook is not None and last_forward_hook(module) is not hook]
    with _lock:
        for module, hook in new:
            run_last(module, hook)  # what a hook of somebody else's makes of the output is the output
        for module in list(_parts_of):
            _parts_of.pop(module, None)  # modules may have got new parts
        for module in model.modules():
            if isinstance(module, nn.ModuleList):
                _listed.update(module)
        _installed[model] = [
            (ref(module), ids_of_parts(module), hook, _written(module, hook)) for module, hook in hooks
        ]


def _as_they_were(known: Sequence[_Known]) -> bool:
    """Have these modules the parts that they had, is our hook still their last, and did nobody else lay hands on them?

    A part that went, and whose place in memory another took, is a dead reference of its own. It takes a fifth of the
    time of walking the model.
    """
    for reference, children, hook, forward in known:
        module = reference()
        if module is None or ids_of_parts(module) != children:
            return False
        if hook is not None:
            if last_forward_hook(module) is not hook:
                return False
        elif forward is not None and (type(module).forward is not forward or changed_by_hand(module, _on_whole)):
            return False
    return bool(known)


def _written(module: nn.Module, hook: Callable[..., None] | None) -> _Forward | None:
    """The `forward` of a class whose instance we watch only once somebody changes it."""
    return type(module).forward if hook is None and holds_parts(module) else None


def remove(model: nn.Module) -> None:
    """Take the dormant hooks off again."""
    with _lock:
        _installed.pop(model, None)
        for module in model.modules():
            take_off(module, _HOOKS)


@lru_cache(maxsize=64)
def _probe_index(n_rows: int, device: torch.device) -> Tensor:
    """`probe_rows` as a tensor: a hundred copies are made in a run, and making it would take longer than they."""
    with torch.inference_mode(False):
        return torch.tensor(probe_rows(n_rows), device=device)


def is_norm(module: nn.Module) -> bool:
    """Told by the class's name, as transformers has no base class for norms."""
    return "norm" in type(module).__name__.lower()


def _hook_for(module: nn.Module) -> Callable[..., None] | None:
    """Told by what a leaf holds: a matrix makes a map, cosines are computed from buffers alone."""
    if next(module.children(), None) is not None:
        return _on_whole if holds_parts(module) and somebody_elses(module, _on_whole) else None
    if is_norm(module):
        return _on_norm
    weight = own_weight(module)
    if weight is not None:
        is_map = weight.dim() == 2 and weight.is_floating_point() and not isinstance(module, nn.Embedding)
        return _on_map if is_map else None
    return _on_table if holds_buffers_alone(module) else None


def _on_map(module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object], output: object) -> None:
    running = watcher.get()
    if running is not None:
        x = _first_tensor(args, kwargs)
        if x is not None and isinstance(output, Tensor) and x.dim() > 1 and output.dim() > 1:
            try:
                running.fed_map(module, x, output)
            except _UNFORESEEN:
                pass


def _on_norm(module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object], output: object) -> None:
    running = watcher.get()
    if running is not None:
        x = _first_tensor(args, kwargs)
        if x is not None and isinstance(output, Tensor) and x.shape == output.shape and x.dim() > 1:
            try:
                running.fed_norm(module, x, output)
            except _UNFORESEEN:
                pass


def _on_table(module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object], output: object) -> None:
    running = watcher.get()
    if running is None:
        return
    if isinstance(output, Tensor) and output.is_complex():  # cos + i·sin
        running.gave_table(output.real, output.imag)
    elif isinstance(output, tuple) and len(output) == 2:
        cos, sin = output
        if isinstance(cos, Tensor) and isinstance(sin, Tensor) and cos.is_floating_point() and cos.dim() > 1:
            running.gave_table(cos, sin)


def _on_whole(module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object], output: object) -> None:
    running = watcher.get()
    if running is not None:
        given = output[0] if isinstance(output, tuple) and output else output
        if isinstance(given, Tensor) and given.dim() > 1:
            try:
                running.ended(module, [x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)], given)
            except _UNFORESEEN:
                pass


_HOOKS = (_on_map, _on_norm, _on_table, _on_whole)


def _sums_up(call: Seen) -> bool:
    """Does the norm after W_O read x + what W_O wrote (BERT)? Then x is the stream, and what made x is not needed."""
    read, written = call.following[-1].before[:, 0], call.after[-1].output
    rows = probe_rows(written.shape[0])
    xs = {id(fed.x): fed.x for fed in call.maps if fed.x.shape == written.shape}
    return any(torch.allclose(x[rows] + written[rows], read, rtol=1e-2, atol=1e-2) for x in xs.values())


def _first_tensor(args: tuple[object, ...], kwargs: dict[str, object]) -> Tensor | None:
    for value in (*args, *kwargs.values()):  # a loop: asked at every map of a run, and a generator costs twice as much
        if isinstance(value, Tensor):
            return value
    return None


def _sorted_out(
    fed: Iterable[tuple[nn.Module, Tensor, Tensor]], n_query: int, n_key: int
) -> tuple[list[FedMap], list[FedNorm]]:
    maps, norms = [], []
    for module, x, output in fed:
        if is_norm(module):
            for n in {n_query, n_key}:
                before, after = _as_groups(x, n), _as_groups(output, n)
                if before is not None and after is not None:
                    norms.append(FedNorm(module, before, after))
        elif _flat(x).shape[0] in (n_query, n_key):
            maps.append(FedMap(module, _flat(x), output))
    return maps, norms


def _as_groups(x: Tensor, n_tokens: int) -> Tensor | None:
    """Some rows of a norm's input or output as [probe, group, channel]; None if no axis counts the tokens."""
    x = x[0] if x.dim() > 2 and x.shape[0] == 1 else x
    if x.dim() == 2:
        if x.shape[0] == n_tokens:
            x = x[:, None]
        elif x.shape[0] % n_tokens == 0:  # [token · head, channel]
            x = x.unflatten(0, (n_tokens, -1))
        else:
            return None
    if x.dim() != 3 or n_tokens not in x.shape[:2]:
        return None
    # As many heads as tokens: the tokens' axis is the one with the larger step in memory.
    if x.shape[0] != n_tokens or (x.shape[1] == n_tokens and x.stride(1) > x.stride(0)):
        x = x.transpose(0, 1)
    return x.index_select(0, _probe_index(n_tokens, x.device))


def _flat(x: Tensor) -> Tensor:
    return x.reshape(-1, x.shape[-1])


def _rows_of(x: Tensor) -> Tensor:
    """A copy of the probe rows: a view would keep the whole output alive."""
    flat = _flat(x)
    return flat.index_select(0, _probe_index(flat.shape[0], flat.device))


def _parts(module: nn.Module) -> WeakSet[nn.Module]:
    parts = _parts_of.get(module)
    if parts is None:
        parts = _parts_of[module] = WeakSet(module.modules())
    return parts


def _shares(a: Tensor, b: Tensor) -> bool:
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()
