"""The first steps of a ledger: from the layer's input to q, k and v, with what the architecture adds on the way."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.ledger.beginning import beginning
from attention_core.ledger.records import Here, Step, unobserved
from attention_core.record.layers import LayerTrace
from attention_core.record.norms import Norm
from attention_core.record.projections import Projection, Projections, Rotary

NAMES = ("q", "k", "v")
_SUFFIX = {"q/k norm": "normed", "rotary": "turned"}


def found(one: LayerTrace) -> Projections:
    """The linear maps of a layer; none where nothing was observed (a trace from a file)."""
    maps = getattr(one, "projections", None)
    return maps if isinstance(maps, Projections) else Projections(missing=("nothing but q, k and v is in this trace",))


def before(here: Here) -> Iterator[Step]:
    """Input, projections, what the architecture adds to q and k, shared heads."""
    made = Made(here)
    yield made.input()
    yield made.projected()
    yield from made.between()
    if here.one.n_kv_heads < here.one.n_heads:
        yield _shared(here)


class Made:
    """How q, k and v of one head and one query came about, stage by stage."""

    def __init__(self, here: Here) -> None:
        self.here = here
        self.maps = found(here.one)
        self.known: dict[str, Projection] = {
            name: projection for name in NAMES if (projection := getattr(self.maps, name)) is not None
        }

    def head(self, name: str) -> int:
        """The head's index in q, k or v: keys and values may be shared by several query heads."""
        return self.here.head if name == "q" else self.here.kv_head

    def rows(self, name: str) -> slice:
        """The rows of q, k or v that are followed: the query's own in q, every key's in k and v."""
        return self.here.rows if name == "q" else slice(None)

    def captured(self, name: str) -> Float[Tensor, " d_head"] | Float[Tensor, "key d_head"]:
        """q [d_head] of this query, or k or v of every key, as attention received them, in float32."""
        return {"q": self.here.q, "k": self.here.k, "v": self.here.v}[name]

    def stage_name(self, name: str, index: int) -> str:
        """What the vectors of q, k or v are called after stage `index` (0: the projection)."""
        projection = self.known[name]
        if index == len(projection.steps):
            return name
        return f"{name}_projected" if index == 0 else f"{name}_{_suffix(projection.steps[index - 1].name)}"

    def stages(self, name: str) -> tuple[Tensor, ...]:
        """The vectors after each stage; the last are the captured ones, which the next step uses."""
        stages = [tensor for _, tensor in self.known[name].stages(self.head(name), self.rows(name))]
        own = [tensor[0] if name == "q" else tensor for tensor in stages[:-1]]
        return (*own, self.captured(name))

    def input(self) -> Step:
        """The step "x": what this layer's attention reads."""
        here, one = self.here, self.here.one
        if not self.known:
            return unobserved("x", "Input", why_missing(self.maps, "q"))
        tensors: dict[str, Tensor] = {}
        code = [f"made, query = trace.exact({here.layer}).projections, {here.query}"]
        keys = self.known.get("k") or self.known.get("v")
        if keys is not None:
            tensors["x_keys"] = keys.x.float()
            code.append(f"x_keys = made.{'k' if 'k' in self.known else 'v'}.x.float()")
        if "q" in self.known:
            tensors["x"] = self.known["q"].x[here.query].float()
            code.append("x = made.q.x[query].float()")
        came = beginning(here, self.maps)
        tensors = {**came.tensors, **tensors}
        if "stream" in tensors and "x" in tensors and torch.equal(tensors["stream"], tensors["x"]):
            del tensors["stream"]  # no norm between: what enters the layer is what its maps read
        reads = (
            f"So each token has a vector, x, of {self.known[next(iter(self.known))].x.shape[-1]:,} numbers, and this "
            "layer reads all of them."
            if one.kind != "cross"
            else "This layer reads the decoder's vector for the query token, and the encoder's vector for each key."
        )
        says = " ".join((*came.says, reads))
        if any(projection.latent for projection in self.known.values()):
            says += " Here it is already the output of a smaller map of the layer (latent attention)."
        return Step(
            name="x",
            title="Input",
            says=says,
            symbols=("x", "d_model"),
            formula=(
                "x_i = the vector of token i at the entrance of this layer's attention",
                *_added_up(tensors),
            ),
            tensors=tensors,
            makes=tuple(tensors),
            code="\n".join(code),
            result="x" if "x" in tensors else "x_keys",
        )

    def projected(self) -> Step:
        """The step that makes q, k and v of x by the observed linear maps."""
        here = self.here
        if not self.known:
            return _given(here)
        tensors: dict[str, Tensor] = {}
        code = [f"made = trace.exact({here.layer}).projections"]
        formula = []
        for name in NAMES:
            index = "_j" if name != "q" else ""
            if name not in self.known:
                tensors[name] = self.captured(name)
                formula.append(f"{name}{index} as attention received it; the map that made it was not observed")
                continue
            projection = self.known[name]
            key = self.stage_name(name, 0)
            tensors |= self._apart(name, projection)
            tensors[key] = self.stages(name)[0]
            formula.append(_equation(name, index, projection))
            code.append(f"{key} = {self._code(name, projection)}")
        steps = [step for projection in self.known.values() for step in projection.steps]
        says = (
            "Three matrices of learned numbers, the same for every token and every text, each multiplied with the "
            "input: the query is what this token looks for, a key is what a token offers to be found by, a value is "
            "what it hands over when it is read."
        )
        if any(part.base is not None for projection in self.known.values() for part in projection.parts):
            says += " An adapter sits on some of these maps: what it adds stands beside what the base layer gives."
        if steps:
            says += " Queries and keys are not finished yet: the next step changes them."
        last = next(self.stage_name(name, 0) for name in NAMES if name in self.known)
        return Step(
            name="qkv",
            title="Query, key, value",
            says=says,
            symbols=("q", "k", "v", "x", "W", "b", "d_head"),
            formula=tuple(formula),
            tensors=tensors,
            makes=tuple(tensors),
            checks=here.checks(*(name for name in self.known)),
            code="\n".join(code),
            result=last,
        )

    def _apart(self, name: str, projection: Projection) -> dict[str, Tensor]:
        """What the base layer gives and what its adapter adds, where one sits on the map."""
        part, head = projection.parts[0], self.head(name)
        if len(projection.parts) > 1 or part.base is None:
            return {}
        rows, columns = self.rows(name), part.columns[head]
        base = part.base.of(columns, rows) * projection.factor
        added = part.of_adapter(columns, rows) * projection.factor
        if name == "q":
            base, added = base[0], added[0]
        return {f"base_{name}": base, f"adapter_{name}": added}

    def _code(self, name: str, projection: Projection) -> str:
        """One line of torch for x·W + b of one head."""
        head, rows = self.head(name), f"[{self.here.query}]" if name == "q" else ""
        first = projection.parts[0]
        if len(projection.parts) > 1:
            return f"made.{name}.stages({head})[0][1]{rows}"
        bias = "" if first.bias is None else f" + made.{name}.bias({head})"
        product = f"made.{name}.x{rows}.float() @ made.{name}.weight({head}){bias}"
        return product if projection.factor == 1.0 else f"({product}) * made.{name}.factor"

    def between(self) -> Iterator[Step]:
        """One step for each kind of thing that happens to q and k (and seldom v) after the projection."""
        kinds: list[str] = []
        for projection in self.known.values():
            kinds += [step.name for step in projection.steps if step.name not in kinds]
        for kind in kinds:
            tensors: dict[str, Tensor] = {}
            makes: list[str] = []
            example: tuple[str, int] | None = None
            for name, projection in self.known.items():
                index = next((i for i, step in enumerate(projection.steps) if step.name == kind), None)
                if index is None:
                    continue
                stages = self.stages(name)
                tensors[self.stage_name(name, index)] = stages[index]
                tensors[self.stage_name(name, index + 1)] = stages[index + 1]
                makes.append(self.stage_name(name, index + 1))
                example = example or (name, index)
            if example is None:
                continue
            step = self.known[example[0]].steps[example[1]]
            if isinstance(step, Rotary):
                yield self._rotary(step, tensors, makes, example)
            else:
                yield self._norm(step, tensors, makes, example)

    def _rotary(self, step: Rotary, tensors: dict[str, Tensor], makes: list[str], example: tuple[str, int]) -> Step:
        here, (name, index) = self.here, example
        position = here.query if name == "q" else 0
        angle = torch.atan2(step.sin[position].float(), step.cos[position].float())
        reads, writes = (torch.stack(pair, dim=-1) for pair in (step.reads, step.writes))
        made = self.stage_name(name, index + 1)
        origin = "as the model computed it" if step.observed else "recovered from the numbers"
        rest = (
            ""
            if step.dims == tensors[made].shape[-1]
            else f" The other components stay as they are: {step.dims} of {tensors[made].shape[-1]} turn."
        )
        return Step(
            name="rotary",
            title="Rotary position",
            says="Each pair of components of a query and a key is turned by an angle that grows with the token's "
            "position: fast for the first pairs, slowly for the last. A score then depends on how far apart two tokens "
            f"are, not on where they stand.{rest}",
            symbols=("q", "k", "θ"),
            formula=(
                "q'_a = q_a · cos θ − q_b · sin θ",
                "q'_b = q_b · cos θ + q_a · sin θ",
                f"pairs (a, b): {step.layout}; θ {origin}",
            ),
            tensors={**tensors, "angle": angle, "pairs_read": reads, "pairs_written": writes},
            makes=("angle", "pairs_read", "pairs_written", *makes),
            checks=here.checks(*(n for n in NAMES if n in makes)),
            code=f"made = trace.exact({here.layer}).projections.{name}\n"
            f"p, turn = made.stages({self.head(name)})[{index}][1][{position}], made.steps[{index}]\n"
            "(a, b), (to_a, to_b) = turn.reads, turn.writes\n"
            f"{made}, cos, sin = p.clone(), turn.cos[{position}].float(), turn.sin[{position}].float()\n"
            f"{made}[to_a] = p[a] * cos - p[b] * sin\n"
            f"{made}[to_b] = p[b] * cos + p[a] * sin",
            result=made,
        )

    def _norm(self, step: Norm, tensors: dict[str, Tensor], makes: list[str], example: tuple[str, int]) -> Step:
        here, (name, index) = self.here, example
        row, made = (here.query if name == "q" else 0), self.stage_name(name, index + 1)
        head = self.head(name)
        centred = "" if step.kind == "rms" else " - whole.mean()"
        square = "whole.pow(2).mean()" if step.kind == "rms" else "whole.var(unbiased=False)"
        gain = "" if step.gain is None else f" * norm.gain[{head}].float()"
        bias = "" if step.bias is None else f" + norm.bias[{head}].float()"
        whole = "p" if step.over is None else f"made.parts[0].of(norm.over)[{row}] * made.factor"
        root = "√(mean of squares + ε)" if step.kind == "rms" else "√(variance + ε)"
        return Step(
            name="norm",
            title="Query and key norm" if "v" not in makes else "Norm",
            says="Queries and keys are brought to the same length before they are compared, and each component gets a "
            "learned gain, so that scores cannot grow without bound."
            + ("" if step.over is None else " The length is taken over all heads together."),
            symbols=("q", "k", "γ", "ε"),
            formula=(f"q' = {'(q − mean)' if step.kind == 'layer' else 'q'} / {root} · γ",),
            tensors=tensors,
            makes=tuple(makes),
            checks=here.checks(*(n for n in NAMES if n in makes)),
            code=f"made = trace.exact({here.layer}).projections.{name}\n"
            f"p, norm = made.stages({head})[{index}][1][{row}], made.steps[{index}]\n"
            f"whole = {whole}\n"
            f"{made} = (p{centred}) / ({square} + norm.eps).sqrt(){gain}{bias}",
            result=made,
        )


def _added_up(tensors: dict[str, Tensor]) -> tuple[str, ...]:
    """What x is the sum of, where no norm stands between."""
    terms = [name for name in ("embedding", "position", "put_in", "gathered") if name in tensors]
    if "stream" in tensors or terms[:1] != ["embedding"] or terms[-1:] != ["gathered"]:
        return ()
    return (f"x = {' + '.join(terms)}",)


def _given(here: Here) -> Step:
    """q, k and v as attention received them, where nothing is known about where they come from."""
    return Step(
        name="qkv",
        title="Query, key, value",
        says="Three vectors of this head: what the query token looks for, what each key offers, and what it carries. "
        "Which projection made them was not observed here; these are the vectors that attention received.",
        symbols=("q", "k", "v", "d_head"),
        formula=("q, k_j, v_j as attention received them",),
        tensors={"q": here.q, "k": here.k, "v": here.v},
        makes=("q", "k", "v"),
        code=f"{here.place}\nq = layer.q[head, query].float()\nk = layer.k[layer.kv_head(head)].float()\n"
        "v = layer.v[layer.kv_head(head)].float()",
        result="q",
    )


def _shared(here: Here) -> Step:
    """Which key/value head this query head reads."""
    one = here.one
    with_it = [head for head in range(one.n_heads) if one.kv_head(head) == here.kv_head]
    others = [str(head) for head in with_it if head != here.head]
    return Step(
        name="shared",
        title="Shared keys and values",
        says=f"This layer has {one.n_heads} query heads and {one.n_kv_heads} key/value "
        f"head{'s' if one.n_kv_heads > 1 else ''}. Head {here.head} reads key/value head {here.kv_head}, together with "
        f"head{'s' if len(others) > 1 else ''} {', '.join(others)}: fewer keys and values to keep, while each head "
        "still looks for something of its own.",
        symbols=("k", "v", "n_heads", "n_kv_heads"),
        formula=(
            "g = ⌊h · n_kv_heads / n_heads⌋",
            f"{here.kv_head} = ⌊{here.head} · {one.n_kv_heads} / {one.n_heads}⌋",
        ),
        tensors={"shared_by": torch.tensor(with_it), "kv_head": torch.tensor(here.kv_head)},
        makes=("shared_by", "kv_head"),
        code=f"import torch\nlayer, head = trace.exact({here.layer}), {here.head}\n"
        "kv_head = torch.tensor(head * layer.n_kv_heads // layer.n_heads)",
        result="kv_head",
    )


def _equation(name: str, index: str, projection: Projection) -> str:
    letter, x = name.upper(), "x" if name == "q" else "x_j"
    prime = "" if not projection.steps else "'"
    terms = f"{x} · W_{letter}" + ("" if projection.parts[0].bias is None else f" + b_{letter}")
    if projection.factor != 1.0:
        terms = f"({terms}) × {projection.factor:.6g}"
    where = ", ".join(f"“{part.name}”" for part in projection.parts)
    if (base := projection.parts[0].base) is not None:
        where = f"“{base.name}” and its adapter together: base_{name} + adapter_{name}"
    return (
        f"{name}{index} = {terms}, W_{letter} from {where}"
        if not prime
        else f"{name}{index} = {terms} (before the next step), W_{letter} from {where}"
    )


def _suffix(step: str) -> str:
    return _SUFFIX.get(step, "changed")


def why_missing(maps: Projections, name: str) -> str:
    """The reason why a linear map could not be observed, as a sentence without its "q:"."""
    reason = next((reason for reason in maps.missing if reason.startswith(f"{name}:")), None)
    if reason is not None:
        return reason.split(": ", 1)[1]
    return maps.missing[0] if maps.missing else "it was not observed"
