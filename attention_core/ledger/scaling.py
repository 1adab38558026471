"""The step "scale": scores times 1/√d, and why it is a root: what random queries and keys of several sizes give."""

import math
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.formula.attention import attend
from attention_core.ledger.records import Here, Step, precise
from attention_core.record.layers import LayerTrace

SIZES = (2, 4, 8, 16, 32, 64, 128, 256)  # of random vectors
PAIRS = 4096  # random pairs whose scores are measured: their spread is then known to about 1 %
KEYS = 8  # of one random query, for its softmax


def scaling(here: Here) -> Step:
    """The scores times the model's factor; what softmax would do without it; and the same for random vectors."""
    one, scores = here.one, here.attention.scores[0]
    scaled = scores * one.scale
    spread = _spread_of_all(here.one.q[here.head].double(), here.k.double())
    tensors = {
        "scores": scores,
        "scale": torch.tensor(one.scale),
        "score_spread": spread.float(),
        "scaled_spread": (spread * abs(one.scale)).float(),
        "unscaled_weights": _unscaled_weights(here),
        **random_scores(),
        "scaled": scaled,
    }
    return Step(
        name="scale",
        title="Scale",
        says=_says(here),
        symbols=("z", "s", "d_head"),
        formula=(f"z_j = s_j × {scale_words(one)}",),
        tensors=tensors,
        makes=tuple(name for name in tensors if name != "scores"),
        checks=(precise("scaled", scaled, scores.double() * one.scale),),
        code=f"{here.place}\nscores = layer.k[layer.kv_head(head)].float() @ layer.q[head, query].float()\n"
        "scaled = scores * layer.scale",
        result="scaled",
    )


def _says(here: Here) -> str:
    one, d = here.one, here.q.shape[-1]
    why = (
        "A score is a sum of d products. The longer the sum, the farther scores lie apart: for random vectors by √d, a "
        "root, for products of either sign cancel in part. The farther apart they are, the more softmax gives to one."
    )
    if one.scale == 1.0:
        return f"{why} This model does not scale its scores: it has learned queries and keys that are small enough."
    if abs(one.scale * math.sqrt(d) - 1) < 1e-5:
        return f"{why} Dividing by √d takes that out again, whatever d is; here d is {d}."
    return f"{why} A factor takes that out again; this model's is {scale_words(one)}, and its d is {d}."


@cache
def random_scores() -> dict[str, Tensor]:
    """Scores of random queries and keys, every component of mean 0 and spread 1, for each of `SIZES`; always the same.

    `random_sizes` and `random_roots` (their roots) [size]; `random_spreads`, the spread of `PAIRS` scores [size];
    `random_scores` of one query [size, key], its weights by softmax as they are and after ÷ √d [size, key].
    """
    generator = torch.Generator().manual_seed(0)
    spreads, scores = [], []
    for size in SIZES:
        q, k = (torch.randn(PAIRS, size, generator=generator) for _ in "qk")
        spreads.append((q * k).sum(dim=-1).std(correction=0))
        scores.append(k[:KEYS] @ q[0])
    roots = torch.tensor(SIZES).float().sqrt()
    of_one = torch.stack(scores)
    return {
        "random_sizes": torch.tensor(SIZES),
        "random_roots": roots,
        "random_spreads": torch.stack(spreads),
        "random_scores": of_one,
        "random_weights": of_one.softmax(dim=-1),
        "random_scaled_weights": (of_one / roots[:, None]).softmax(dim=-1),
    }


def _spread_of_all(q: Float[Tensor, "query d_head"], k: Float[Tensor, "key d_head"]) -> Float[Tensor, ""]:
    """The standard deviation of q·k over all pairs, without making them: (q·k)² sums to ⟨QᵀQ, KᵀK⟩."""
    n = q.shape[0] * k.shape[0]
    mean = q.sum(dim=0) @ k.sum(dim=0) / n
    square = ((q.T @ q) * (k.T @ k)).sum() / n
    return (square - mean.square()).clamp_min(0).sqrt()


def _unscaled_weights(here: Here) -> Float[Tensor, " key"]:
    """What softmax would give if the scores were not scaled, all else being equal."""
    allowed = here.one.allowed(here.head, here.rows)
    bias = None if here.bias is None else here.bias[None]
    return attend(
        here.q[None],
        here.k,
        here.v,
        scale=1.0,
        allowed=allowed,
        bias=bias,
        softcap=here.one.softcap,
        sink_logit=here.sink_logit,
    ).weights[0]


def scale_words(one: LayerTrace) -> str:
    """The factor in the way a textbook writes it, where it is one: "1/√32 = 0.1768"."""
    if one.scale == 1.0:
        return "1"
    root = 1 / one.scale if one.scale else 0.0
    root *= root  # not the scale: its square may be 0 where it is not
    whole = round(root) if math.isfinite(root) else 0
    if whole and abs(root - whole) < 1e-4 * whole:
        return f"1/√{whole} = {one.scale:.4f}"
    return f"{one.scale:.6g}"
