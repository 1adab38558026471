"""Five ways to say how much a query gets from each key, side by side, and why their answers differ.

1. the weight a_ij
2. ‖a_ij·v_j·W_O‖, the length of what comes from there (Kobayashi et al. 2020)
3. its signed share of what the head writes: a_ij·⟨v_j·W_O, o_i⟩ ÷ ‖o_i‖², o_i = Σ_j a_ij·v_j·W_O; sums to 1
4. value zeroing: 1 − cosine of the *block's* output at the query with v_j = 0 (Mohebbi et al. 2023)
5. the effect of the cut: 1 − cosine of the same output with the link cut, score −∞

4 and 5 are measured in edited runs, 1 to 3 read off one run.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.capturing.capture import prepare
from attention_core.experiment.edits import CutLink, Edit, ExperimentError, ZeroValue
from attention_core.experiment.running import Runs
from attention_core.formats.shown import short_repr
from attention_core.models.facts import LoadedModel
from attention_core.reading.contribution import slot_of, why_not
from attention_core.record.layers import LayerTrace
from attention_core.text.tokens import Token

SHORT = 0.5  # a value that is shorter than this share of the median is short
SATURATED = 0.99  # a row whose largest weight is above this has nowhere to go
CARRIED = 0.9  # cosine of two keys' writings from which on they carry the same
NAMES: tuple[str, ...] = ("weight", "length", "signed share", "value zeroing", "cut")


@dataclass(frozen=True, slots=True, eq=False)
class Lenses:
    """One row of one head through five lenses. NaN where a lens has no number for a key."""

    weight: Float[Tensor, " key"]  # 0 to 1
    length: Float[Tensor, " key"] | None  # ≥ 0, in units of the residual stream; None where W_O was not observed
    signed: Float[Tensor, " key"] | None  # sums to 1; None where undefined or refused
    zeroed: Float[Tensor, " key"]  # 1 − cosine, 0 to 2
    cut: Float[Tensor, " key"]  # 1 − cosine, 0 to 2; NaN for a query's only key
    tokens: tuple[Token, ...]  # the keys
    missing: tuple[str, ...]  # sentences: why a lens is not there
    says: str  # where their top keys differ and, if the numbers show it, why; "" where they agree

    __repr__ = short_repr

    def top(self, lens: str) -> int | None:
        """The key with the largest number through a lens; None where it has no numbers."""
        row = dict(zip(NAMES, (self.weight, self.length, self.signed, self.zeroed, self.cut), strict=True))[lens]
        return None if row is None or bool(row.isnan().all()) else int(row.nan_to_num(nan=-torch.inf).argmax())


def lenses(model: LoadedModel, text: str, layer: int, head: int, query: int, **texts: str | None) -> Lenses:
    """One row of one head through five lenses; `texts` as in `capture`.

    Raises ExperimentError for what does not exist, or a layer in no block whose output could be compared.
    """
    return lenses_of(Runs(prepare(model, text, **texts)), layer, head, query)  # type: ignore[arg-type]


def lenses_of(runs: Runs, layer: int, head: int, query: int) -> Lenses:
    """`lenses` of a text that was prepared."""
    runs.sites.require_head(layer, head)
    one = runs.record.exact(layer)
    if not 0 <= query < one.n_query:
        raise ExperimentError(f"query must be 0 … {one.n_query - 1}; got {query}")
    weight = one.weights(head, slice(query, query + 1))[0]
    allowed = one.allowed(head, slice(query, query + 1))
    keys = list(range(one.n_key)) if allowed is None else allowed[0].nonzero().flatten().tolist()
    written, missing = _written(one, head)
    length = signed = None
    if written is not None:
        terms = weight[:, None] * written
        length, total = terms.norm(dim=-1), terms.sum(dim=0)
        signed = terms @ total / total.square().sum()
        if not float(total.square().sum()):
            signed, missing = (
                None,
                (*missing, "signed share: this head writes nothing here, so there is no share of it."),
            )
    zeroed = _changes(runs, layer, query, one.n_key, keys, [ZeroValue(layer, head, key) for key in keys])
    cuttable = keys if len(keys) > 1 else []
    cut = _changes(runs, layer, query, one.n_key, cuttable, [CutLink(layer, head, query, (key,)) for key in cuttable])
    tokens = runs.record.key_tokens(layer)
    found = Lenses(weight, length, signed, zeroed, cut, tokens, missing, "")
    return Lenses(weight, length, signed, zeroed, cut, tokens, missing, _sentence(found, written, keys))


def _written(layer: LayerTrace, head: int) -> tuple[Float[Tensor, "key d_model"] | None, tuple[str, ...]]:
    """v_j·W_O of each key, with the gate as it was recorded left to `why_not`."""
    if reason := why_not(layer):
        return None, (f"length and signed share: {reason}.",)
    with torch.inference_mode():
        return layer.v[layer.kv_head(head)].float() @ slot_of(layer, head), ()


def _changes(
    runs: Runs, layer: int, query: int, n_key: int, keys: Sequence[int], edits: Sequence[Edit]
) -> Float[Tensor, " key"]:
    """1 − cosine of the block's output at the query, edited against unedited, by key."""
    found = torch.full((n_key,), torch.nan)
    at_once = runs.rows_at_once() - 1
    for start in range(0, len(keys), at_once):
        chosen = edits[start : start + at_once]
        rows = runs.block_output([(), *((edit,) for edit in chosen)], layer)[:, query].double()
        cosines = torch.nn.functional.cosine_similarity(rows[1:], rows[:1], dim=-1)
        same = (rows[1:] == rows[:1]).all(dim=-1)
        found[list(keys[start : start + at_once])] = torch.where(same, 0.0, 1 - cosines).clamp_min(0).float().cpu()
    return found


def _sentence(found: Lenses, written: Tensor | None, keys: Sequence[int]) -> str:
    """Both keys and, only where the numbers show it, the reason."""
    by_weight, by_cut = found.top("weight"), found.top("cut")
    other = next((found.top(lens) for lens in NAMES[1:] if found.top(lens) not in (None, by_weight)), None)
    key = by_cut if by_cut not in (None, by_weight) else other
    if by_weight is None or key is None:
        return ""
    heavy, strong = found.tokens[by_weight].text, found.tokens[key].text
    lens = next(lens for lens in NAMES[1:] if found.top(lens) == key)
    reason = _reason(found, written, keys, by_weight, key)
    ending = f": {reason}." if reason else "; the numbers here do not say why."
    return f"By weight “{heavy}” is first, by {lens} “{strong}”{ending}"


def _reason(found: Lenses, written: Tensor | None, keys: Sequence[int], heavy: int, strong: int) -> str:
    if written is not None:
        lengths = written.norm(dim=-1)
        if len(keys) > 2 and float(lengths[heavy]) < SHORT * float(lengths[list(keys)].median()):
            return f"the value of “{found.tokens[heavy].text}” is short ({float(lengths[heavy]):.3g})"
        if found.signed is not None and float(found.signed[heavy]) < 0:
            return f"what comes from “{found.tokens[heavy].text}” is cancelled by the other values"
        twin = next((k for k in keys if k != heavy and _alike(written, heavy, k)), None)
        if twin is not None:
            return f"“{found.tokens[twin].text}” carries the same as “{found.tokens[heavy].text}”"
    if float(found.weight[heavy]) > SATURATED:
        return "the softmax is saturated, so that the other keys have next to no weight"
    return ""


def _alike(written: Tensor, a: int, b: int) -> bool:
    return float(torch.nn.functional.cosine_similarity(written[a], written[b], dim=0)) > CARRIED
