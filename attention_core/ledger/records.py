"""One head and one query followed in real numbers, step by step: each step with its tensors, its check and its code.

    steps = ledger(trace, layer=3, head=1, query=10)
    print(steps)                                # every step, in a notebook or a terminal
    steps.step("softmax").tensors["weights"]    # what this query reads from each key

The ledger holds what a page or a notebook shows; nothing is computed anywhere else. A step that the architecture does
not have is not in it; one whose numbers could not be observed is, and says why.
"""

import html
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attention_core.formats.shown import short_repr
from attention_core.formula.attention import AttentionSteps
from attention_core.record.layers import LayerTrace
from attention_core.record.proof import Check, compare, largest_difference
from attention_core.record.record import Record
from attention_core.record.verdict import PLURAL, Verdict, judge


@dataclass(frozen=True, slots=True, eq=False)  # eq=False: comparing tensors with == is ambiguous
class Fault:
    """Where a check is farthest off: what we compute, and what the model has."""

    check: str
    where: str  # "query 10, key 3"
    ours: float
    models: float


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step of the computation, for one head and one query."""

    name: str  # short and stable: it stands in links
    title: str
    says: str  # what it means, in plain words
    symbols: tuple[str, ...]  # that the formula uses; the glossary has a sentence for each
    formula: tuple[str, ...]  # one equation a line
    tensors: Mapping[str, Tensor]  # by the names that the code uses; those that this step makes come last
    makes: tuple[str, ...]  # names of the tensors that this step computes; the others come from steps before
    checks: tuple[Check, ...] = ()
    code: str = ""  # at most six lines of torch; runs as it stands where `trace` is this trace
    result: str = ""  # the tensor that the code computes, by its name in `tensors`
    why_not: str = ""  # a sentence, where the numbers of this step could not be observed

    __repr__ = short_repr

    @property
    def available(self) -> bool:
        """Its numbers could be observed; otherwise `why_not` says why."""
        return not self.why_not

    @property
    def holds(self) -> bool:
        """No check of this step failed; also True where it has none."""
        return all(check.holds for check in self.checks)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of `tensors`, by the same names."""
        return {name: tuple(tensor.shape) for name, tensor in self.tensors.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Ledger:
    """All steps of one head for one query, in the order in which they are computed."""

    trace: Record
    layer: int
    head: int
    query: int
    steps: tuple[Step, ...]
    faults: tuple[Fault, ...] = ()  # one for each check that fails

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def step(self, name: str) -> Step:
        """The step of this name. Raises ValueError naming those that there are."""
        found = next((step for step in self.steps if step.name == name), None)
        if found is None:
            raise ValueError(f"there is no step {name!r}; the steps are {', '.join(step.name for step in self.steps)}")
        return found

    def maker(self, tensor: str) -> Step | None:
        """The step that computes a tensor."""
        return next((step for step in self.steps if tensor in step.makes), None)

    @property
    def checks(self) -> tuple[Check, ...]:
        """Every check once: q and k are compared at their end, but shown at each step on the way."""
        return tuple({check.name: check for step in self.steps for check in step.checks}.values())

    @property
    def holds(self) -> bool:
        """No check of any step failed."""
        return all(check.holds for check in self.checks)

    @property
    def worst(self) -> float:
        """The largest difference of any check; NaN if one met what is not a number."""
        return largest_difference(self.checks)

    @property
    def judged(self) -> Verdict:
        """What the checks come to, as everywhere else."""
        return judge(self.trace, self.layer, self.checks)

    @property
    def verdict(self) -> str:
        """One line: what the checks come to, and that all steps close, or which does not and by how much."""
        judged = self.judged
        if judged.answer == "differs":
            return self._closing()
        return f"{judged.sentence if judged.reasons else judged.answer}: {self._closing()}"

    def _closing(self) -> str:
        hidden = [step for step in self.steps if not step.available]
        if not self.holds:
            parts = []
            for check in self.checks:
                if check.holds:
                    continue
                fault = next((fault for fault in self.faults if fault.check == check.name), None)
                numbers = f": {fault.ours:.7g} here, {fault.models:.7g} in the model ({fault.where})" if fault else ""
                differs = "differ" if check.name in PLURAL else "differs"
                off = f"{differs} by {short(check.difference)}, tolerance {short(check.tolerance)}"
                parts.append(f"{check.name} {'is not a number' if math.isnan(check.difference) else off}{numbers}")
            return "; ".join(parts)
        if not hidden:
            return f"all {len(self.steps)} steps close to within {short(self.worst)}"
        which = ", ".join(step.title.lower() for step in hidden)
        seen = len(self.steps) - len(hidden)
        return f"{seen} of {len(self.steps)} steps close to within {short(self.worst)}; could not be observed: {which}"

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def __repr__(self) -> str:
        layer, names = self.trace.layers[self.layer], ", ".join(step.name for step in self.steps)
        return (
            f"Ledger of {layer.label}, head {self.head}, query {self.query} in {self.trace.facts.name[:80]}: "
            f"{len(self.steps)} steps ({names})\n  {self.verdict[:500]}\n"
            'Go on: print(ledger) shows every step · .step("softmax").tensors · .checks'
        )

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"

    def _lines(self) -> Iterator[str]:
        layer = self.trace.layers[self.layer]
        token = self.trace.query_tokens(self.layer)[self.query].text
        yield f"{self.trace.facts.name} · {layer.label} · head {self.head} · query {self.query} “{token}”"
        yield f"{self.judged.sign} {self.verdict}"
        yield from (f"  {reason}" for reason in self.judged.reasons)
        for number, step in enumerate(self.steps, 1):
            yield f"\n{number}. {step.title}"
            if step.why_not:
                yield f"   not observed: {step.why_not}"
                continue
            yield from (f"   {line}" for line in step.formula)
            for name in step.makes:
                yield f"   {name} {_shape(step.tensors[name])} = {_few(step.tensors[name])}"
            for check in step.checks:
                mark = "✓" if check.holds else "✗"
                yield f"   {mark} {check.name}: {short(check.difference)} (tolerance {short(check.tolerance)})"


def short(difference: float) -> str:
    """A difference in one or two digits: 4.1e-7 → "4e-7", 0.31 → "0.31"."""
    if math.isnan(difference):
        return "not a number"
    if difference == 0 or abs(difference) >= 1e-3:
        return f"{difference:.2g}"
    return f"{difference:.0e}".replace("e-0", "e-")


def _shape(tensor: Tensor) -> str:
    return f"[{' × '.join(map(str, tensor.shape))}]" if tensor.dim() else "[]"


def _few(tensor: Tensor, n: int = 5) -> str:
    flat = tensor.reshape(-1)
    some = ", ".join(f"{value:.4f}" if isinstance(value, float) else str(value) for value in flat[:n].tolist())
    return some + (f", … ({flat.numel() - n} more)" if flat.numel() > n else "")


@dataclass(frozen=True, eq=False)
class Here:
    """One head and one query of a layer, with what every step needs of them."""

    trace: Record
    one: LayerTrace
    layer: int
    head: int
    query: int
    proof: dict[str, Check]

    __repr__ = short_repr

    @property
    def rows(self) -> slice:
        """The query as a slice of one row."""
        return slice(self.query, self.query + 1)

    @cached_property
    def kv_head(self) -> int:
        """The key/value head that this head reads."""
        return self.one.kv_head(self.head)

    @cached_property
    def q(self) -> Float[Tensor, " d_head"]:
        """This query's vector as attention received it, in float32, like `k` and `v`."""
        return self.one.q[self.head, self.query].float()

    @cached_property
    def k(self) -> Float[Tensor, "key d_head"]:
        """Every key's vector."""
        return self.one.k[self.kv_head].float()

    @cached_property
    def v(self) -> Float[Tensor, "key d_value"]:
        """Every key's value vector."""
        return self.one.v[self.kv_head].float()

    @cached_property
    def attention(self) -> AttentionSteps:
        """Every intermediate tensor of this row, from the one formula."""
        return self.one.steps(self.head, self.rows)

    @cached_property
    def allowed(self) -> Bool[Tensor, " key"]:
        """Which keys this query may read."""
        allowed = self.one.allowed(self.head, self.rows)
        return torch.ones(self.one.n_key, dtype=torch.bool, device=self.q.device) if allowed is None else allowed[0]

    @cached_property
    def bias(self) -> Float[Tensor, " key"] | None:
        """What is added to this row's scaled scores; None for nothing."""
        bias = self.one.bias
        return None if bias is None else bias[self.head if bias.shape[0] > 1 else 0, self.query].float()

    @cached_property
    def sink_logit(self) -> Float[Tensor, ""] | None:
        """The learned extra logit of this row's softmax: one number; None if there is none."""
        sinks = self.one.sink_logit
        if sinks is None:
            return None
        return (sinks[self.head] if sinks.dim() == 1 else sinks[self.head, self.query]).float()

    @property
    def place(self) -> str:
        """How code names this place."""
        return f"layer, head, query = trace.exact({self.layer}), {self.head}, {self.query}"

    @property
    def row_steps(self) -> str:
        """How code asks for what the steps before have made."""
        return f"steps = trace.steps({self.layer}, {self.head}, slice({self.query}, {self.query + 1}))"

    def checks(self, *names: str) -> tuple[Check, ...]:
        """The checks of the proof with these names; those that could not be made are left out."""
        return tuple(self.proof[name] for name in names if name in self.proof)


def precise(name: str, ours: Float[Tensor, "*shape"], exact: Float[Tensor, "*shape"]) -> Check:
    """Between the model's q, k and its weights there is no number of the model's to compare with.

    So the shown numbers are computed again with 53 bits; whether they are the model's too shows at the weights.
    """
    check = compare(name, ours, exact.float())
    return replace(check, reason="computed again in 64 bits; the model's own numbers follow at the weights")


def unobserved(name: str, title: str, why: str) -> Step:
    """A step that the architecture has and whose numbers could not be seen."""
    return Step(name=name, title=title, says="", symbols=(), formula=(), tensors={}, makes=(), why_not=why)


@dataclass(frozen=True, slots=True, eq=False)
class Products:
    """total = factor · (Σ left · right + bias)."""

    left: Float[Tensor, " term"]
    right: Float[Tensor, " term"]
    left_name: str  # as a formula writes it: "q", "k_3"
    right_name: str
    over: str  # what is summed over: "component", "key", "channel"
    total: float  # as the model has it
    bias: float | None = None
    factor: float = 1.0

    __repr__ = short_repr
