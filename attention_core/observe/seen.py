"""Records of what ran around one attention call: inputs of linear maps and norms, and a few rows of their outputs.

Plain data. `observe/hooks` fills it while a model runs, `capturing/search` explains q, k and v by it.
"""

from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor, nn

from attention_core.formats.shown import short_repr

N_PROBES = 8  # rows (tokens) of an output that are kept to recognise it


def probe_rows(n_rows: int) -> list[int]:
    """The rows kept of an output of n_rows tokens: the first, the last and some between, evenly spread."""
    if n_rows <= N_PROBES:
        return list(range(n_rows))
    return [i * (n_rows - 1) // (N_PROBES - 1) for i in range(N_PROBES)]


@dataclass(frozen=True, slots=True, eq=False)
class FedMap:
    """One call of a linear map x·W + b."""

    module: nn.Module
    x: Float[Tensor, "token d_in"]
    probe: Float[Tensor, "probe d_out"]  # its output at `probe_rows`

    __repr__ = short_repr


@dataclass(frozen=True, slots=True, eq=False)
class FedNorm:
    """One call of a norm: the same rows before and after; each group of channels is normalised alone."""

    module: nn.Module
    before: Float[Tensor, "row group channel"]
    after: Float[Tensor, "row group channel"]

    __repr__ = short_repr


@dataclass(frozen=True, slots=True, eq=False)
class FedOutput:
    """A linear map fed after an attention call that may have read its output."""

    module: nn.Module
    probe: Float[Tensor, "probe d_in"]  # its input at `probe_rows`
    output: Float[Tensor, "token d_model"]
    norm: FedNorm | None  # a norm between the attention's output and this map

    __repr__ = short_repr


@dataclass(slots=True, eq=False)
class Seen:
    """One attention call and what ran around it."""

    module: nn.Module
    q: Float[Tensor, "head query d_head"]
    k: Float[Tensor, "kv_head key d_head"]
    v: Float[Tensor, "kv_head key d_value"]
    output: Float[Tensor, "head query d_value"]
    maps: tuple[FedMap, ...] = ()
    norms: tuple[FedNorm, ...] = ()
    tables: tuple[tuple[Tensor, Tensor], ...] = ()  # cosines and sines that a parameterless module gave, [token, pairs]
    after: list[FedOutput] = field(default_factory=list)  # one, if it read the output's own memory
    late: list[FedMap] = field(default_factory=list)  # maps fed after the call and before that one: a gate, perhaps
    entered: tuple[
        Tensor, ...
    ] = ()  # what norms read whose output the maps read, [token, d_model]: the residual stream
    following: list[FedNorm] = field(default_factory=list)  # norms fed after W_O
    read_next: Float[Tensor, "probe channel"] | None = None  # what the first linear map after W_O read
    given: list[Tensor] = field(default_factory=list)  # what modules around the last of `after` gave, [probe, channel]
    later: bool = False  # another map was fed since: what ends now has read more than the attention's output
    closed: bool = False  # nothing that runs later can belong to this call

    __repr__ = short_repr

    def tensors(self) -> dict[str, Tensor]:
        """What of it takes memory, by name."""
        named = {f"x{i}": fed.x for i, fed in enumerate(self.maps)}
        named |= {f"written{i}": fed.output for i, fed in enumerate(self.after)}
        return named | {f"pre{i}": x for i, x in enumerate(self.entered)}
