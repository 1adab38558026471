"""The steps of a ledger, one function each, from scores to the head's output."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.formula.masks import Band
from attention_core.ledger import inputs, outputs
from attention_core.ledger.maps import fault_of
from attention_core.ledger.records import Fault, Here, Ledger, Step, precise, unobserved
from attention_core.ledger.scaling import scaling
from attention_core.record.layers import AttentionLayer, LayerTrace
from attention_core.record.proof import Check, compare
from attention_core.record.record import Record


def build(trace: Record, layer: int, head: int, query: int, checked: bool) -> Ledger:
    """The whole ledger; `ledger()` has checked that layer, head and query exist."""
    found = trace.layers[layer]
    proof = {check.name: check for check in trace.proof(layer, head)} if checked else {}
    if not isinstance(found, LayerTrace):
        return Ledger(trace, layer, head, query, _weights_only(trace, found, layer, head, query, proof))
    here = Here(trace, found, layer, head, query, proof)
    steps = (
        *inputs.before(here),
        _scores(here),
        scaling(here),
        _mask(here),
        _softmax(here),
        _weighted_sum(here),
        *outputs.after(here),
    )
    failed = {check.name: check for step in steps for check in step.checks if not check.holds}
    faults = tuple(_fault(here, check) for check in failed.values())
    return Ledger(trace, layer, head, query, steps, tuple(fault for fault in faults if fault))


def _scores(here: Here) -> Step:
    scores = here.attention.scores[0]
    exact = here.k.double() @ here.q.double()
    return Step(
        name="scores",
        title="Scores",
        says="The query is compared with every key: multiply component by component and add up. Vectors that point the "
        "same way give a large score, opposite ones a negative one.",
        symbols=("q", "k", "s", "d_head"),
        formula=("s_j = q · k_j = Σ_c q_c · k_jc",),
        tensors={"q": here.q, "k": here.k, "scores": scores},
        makes=("scores",),
        checks=(precise("scores", scores, exact),),
        code=f"{here.place}\nq = layer.q[head, query].float()\nk = layer.k[layer.kv_head(head)].float()\n"
        "scores = k @ q",
        result="scores",
    )


def _mask(here: Here) -> Step:
    one, row = here.one, here.attention
    scaled = row.scores[0] * one.scale
    tensors: dict[str, Tensor] = {"scaled": scaled}
    makes: list[str] = []
    says, formula, symbols, code = [], [], ["z", "m"], [here.place]
    code.append(
        "masked = (layer.k[layer.kv_head(head)].float() @ layer.q[head, query].float()) * layer.scale",
    )
    term = "z_j"
    if one.softcap is not None:
        tensors["capped"] = one.softcap * torch.tanh(scaled / one.softcap)
        makes.append("capped")
        says.append(f"A soft-cap bends every score into the range from -{one.softcap:g} to {one.softcap:g}.")
        formula.append(f"y_j = c · tanh(z_j / c), c = {one.softcap:g}")
        symbols += ["y", "c"]
        term = "y_j"
        code.append("masked = layer.softcap * (masked / layer.softcap).tanh()")
    if here.bias is not None:
        tensors["bias"] = here.bias
        makes.append("bias")
        says.append(
            "The model adds a number that depends on how far the key is from the query, learned for each head (relative"
            " position) or fixed (ALiBi)."
        )
        term += " + β_j"
        symbols.append("β")
        code.append(
            f"masked = masked + layer.bias[{here.head if one.bias is not None and len(one.bias) > 1 else 0}, query]"
        )
    tensors["allowed"] = here.allowed
    makes.append("allowed")
    says.append(mask_words(here))
    if bool(here.allowed.all()):
        formula.append(f"m_j = {term}")
    else:
        formula.append(f"m_j = {term} where the query may read key j, else −∞")
        code.append("masked = masked.masked_fill(~layer.allowed(head)[query], float('-inf'))")
    tensors["masked"] = row.masked_scores[0]
    makes.append("masked")
    return Step(
        name="mask",
        title=_mask_title(here),
        says=" ".join(says),
        symbols=tuple(symbols),
        formula=tuple(formula),
        tensors=tensors,
        makes=tuple(makes),
        checks=here.checks("mask") or (precise("masked", row.masked_scores[0], _masked_again(tensors)),),
        code="\n".join(code),
        result="masked",
    )


def _masked_again(tensors: dict[str, Tensor]) -> Float[Tensor, " key"]:
    total = tensors.get("capped", tensors["scaled"]).double() + tensors.get("bias", torch.tensor(0.0)).double()
    return total.masked_fill(~tensors["allowed"], float("-inf"))


def _softmax(here: Here) -> Step:
    row = here.attention
    masked, weights, sink = row.masked_scores[0], row.weights[0], here.sink_logit
    top = masked.max() if sink is None else torch.maximum(masked.max(), sink)
    exps = torch.exp(masked - top)
    tensors = {"masked": masked}
    makes = []
    code = [here.row_steps, "masked = steps.masked_scores[0]"]
    if sink is None:
        total = exps.sum()
        code += ["exps = (masked - masked.max()).exp()", "weights = exps / exps.sum()"]
        sums, extra = "they sum to 1", ""
    else:
        sink_exp = torch.exp(sink - top)
        by_query = here.one.sink_logit is not None and here.one.sink_logit.dim() == 2
        place = f"{here.head}, {here.query}" if by_query else str(here.head)
        total = exps.sum() + sink_exp
        tensors |= {"sink_logit": sink, "sink_exp": sink_exp, "sink_weight": sink_exp / total}
        makes += ["sink_logit", "sink_exp", "sink_weight"]
        code += [
            f"sink = trace.exact({here.layer}).sink_logit[{place}].float()",
            "top = masked.max().maximum(sink)",
            "exps = (masked - top).exp()",
            "weights = exps / (exps.sum() + (sink - top).exp())",
        ]
        sums = "with the sink's share they sum to 1"
        extra = " A learned sink logit takes part without being a key: what goes to it reads nothing."
    tensors |= {"maximum": top, "exps": exps, "exp_sum": total, "weight_sum": weights.sum(), "weights": weights}
    makes += ["maximum", "exps", "exp_sum", "weight_sum", "weights"]
    return Step(
        name="softmax",
        title="Softmax",
        says="Scores become shares: raise e to each (the largest is subtracted first, which changes nothing and keeps "
        f"the numbers small), then divide by the sum. All weights are positive and {sums}.{extra}",
        symbols=("m", "e", "Z", "a") + (("σ",) if sink is not None else ()),
        formula=(
            "e_j = exp(m_j − max m)",
            "Z = Σ_j e_j" if sink is None else "Z = Σ_j e_j + exp(σ − max m)",
            "a_j = e_j / Z",
        ),
        tensors=tensors,
        makes=tuple(makes),
        checks=here.checks("weights") or (_sums_to_one(weights, tensors.get("sink_weight")),),
        code="\n".join(code),
        result="weights",
    )


def _weighted_sum(here: Here) -> Step:
    weights, v = here.attention.weights[0], here.v
    weighted = weights[:, None] * v
    return Step(
        name="output",
        title="Weighted sum",
        says="Each value is shrunk by its weight, and all are added up: that is what this head reads for this token. A "
        "key with a large weight can still give little, if its value is small.",
        symbols=("a", "v", "o", "norm"),
        formula=("o = Σ_j a_j · v_j", "what key j gives: ‖a_j · v_j‖"),
        tensors={
            "weights": weights,
            "v": v,
            "weighted_values": weighted,
            "contribution": weighted.norm(dim=-1),
            "output": here.attention.output[0],
        },
        makes=("weighted_values", "contribution", "output"),
        checks=here.checks("output"),
        code=f"{here.row_steps}\nlayer = trace.exact({here.layer})\nv = layer.v[layer.kv_head({here.head})].float()\n"
        "output = steps.weights[0] @ v",
        result="output",
    )


def _weights_only(
    trace: Record, one: AttentionLayer, layer: int, head: int, query: int, proof: dict[str, Check]
) -> tuple[Step, ...]:
    """A layer of which only the weights are known: what the other steps would show is not here, and why."""
    why = (
        f"{trace.facts.architecture} hides its queries and keys; only the weights are known, as the model returned them"
    )
    says = (
        "The weights that the model itself returned. What they were computed from is not shown by this "
        "architecture, so that nothing could be recomputed."
    )
    if trace.given:
        why = f"{trace.only_weights}; what they were computed from was not given"
        says = (
            "The weights that were given. What they were computed from was not given with them, so that nothing could "
            "be recomputed."
        )
    weights = one.weights(head, slice(query, query + 1))[0]
    hidden = [
        ("qkv", "Query, key, value"),
        ("scores", "Scores"),
        ("scale", "Scale"),
        ("mask", "Mask"),
    ]
    known = Step(
        name="softmax",
        title="Softmax",
        says=says,
        symbols=("a",),
        formula=("Σ_j a_j = 1",) if getattr(one, "sums_to_one", True) else ("Σ_j a_j need not be 1: you said so",),
        tensors={"weight_sum": weights.sum(), "weights": weights},
        makes=("weight_sum", "weights"),
        checks=tuple(proof.values()),
        code=f"weights = trace.weights({layer}, {head})[{query}]",
        result="weights",
    )
    return (
        *(unobserved(name, title, why) for name, title in hidden),
        known,
        unobserved("output", "Weighted sum", why),
        unobserved("joined", "All heads joined", why),
    )


def mask_words(here: Here) -> str:
    """Who may be read, in a sentence."""
    one = here.one
    n_open, n_key = int(here.allowed.sum()), one.n_key
    if isinstance(one.mask, Band):
        if one.mask.everything:
            return f"Nothing is masked in this layer: every token may read every token. {_why_no_mask(here)}"
        back, ahead = one.mask.back, one.mask.ahead
        if back is None and ahead == 0:
            return (
                f"No token reads the future: this query may read keys 0 to {here.query}, {n_open} of {n_key}. A model "
                "is trained to say what comes next; with the next word before its eyes it would have learned to copy. "
                "So the score of every later key becomes −∞, and softmax gives it the weight 0."
            )
        sides = [f"{side} tokens {name}" for side, name in ((back, "back"), (ahead, "ahead")) if side is not None]
        return f"A window: a query reads at most {' and '.join(sides)}, here {n_open} of {n_key} keys."
    return f"This query may read {n_open} of {n_key} keys."


def _why_no_mask(here: Here) -> str:
    """Why an architecture hides nothing: what it reads is all there before it says anything."""
    if here.one.kind == "cross":
        return "The text that is read here is whole before the first word is written: there is no future in it to hide."
    return (
        "A mask hides the words still to come from a model that says what comes next. This one does not write the text "
        "that it reads here: all of it is there from the start, and both sides of a word help to understand it."
    )


def _mask_title(here: Here) -> str:
    parts = ["Mask"]
    if here.one.softcap is not None:
        parts.insert(0, "soft-cap")
    if here.one.bias is not None:
        parts.insert(-1, "bias")
    title = " and ".join([", ".join(parts[:-1]), parts[-1].lower()]) if len(parts) > 1 else parts[0]
    return title[0].upper() + title[1:]


def _sums_to_one(weights: Float[Tensor, " key"], sink: Float[Tensor, ""] | None) -> Check:
    total = weights.sum() + (0.0 if sink is None else sink)
    check = compare("row sum", total[None], torch.ones_like(total[None]))
    return replace(check, reason="no eager function of the model is here to witness the weights; they sum to 1")


def _fault(here: Here, check: Check) -> Fault | None:
    """Look for the place where a failed check is farthest off: in this query's row, else in all rows."""
    one, name = here.one, check.name
    candidates: list[tuple[Tensor, Tensor, int, str]] = []
    if name in ("output", "weights"):
        for rows in (here.rows, slice(None)):
            steps = one.steps(here.head, rows)
            models = one.output[here.head, rows] if name == "output" else one.witness and one.witness(here.head, rows)
            if models is None:
                return None
            candidates.append((getattr(steps, name), models.float(), rows.start or 0, "query"))
    elif pair := fault_of(here, name):
        candidates.append(pair)
    for ours, models, first, row_name in candidates:
        apart = (ours - models).abs().nan_to_num(torch.inf)
        if float(apart.max()) <= check.tolerance:
            continue
        row, column = divmod(int(apart.argmax()), apart.shape[1])
        where = f"{row_name} {first + row}, {'key' if name == 'weights' else 'component'} {column}"
        return Fault(name, where, float(ours[row, column]), float(models[row, column]))
    return None


def ledger(trace: Record, layer: int, head: int, query: int, *, checked: bool = True) -> Ledger:
    """Follow one head for one query from its input to what the layer writes.

    With `checked=False` for its tensors alone: nothing is compared with the model.

    Raises ValueError naming a layer, head or query that does not exist.
    """

    layer, head = trace.place(layer, head)
    n_query = trace.layers[layer].n_query
    if not 0 <= query < n_query:
        raise ValueError(f"query must be 0 … {n_query - 1} in layer {layer}; got {query}")
    with torch.inference_mode():
        return build(trace, layer, head, query, checked)
