"""Running statistics: count, mean and variance of numbers that come one after the other (Welford's method).

Means are updated and not summed: a million windows lose no digits. Two runs merge into what one run over both would
have found. In a fixed order everything is the same bit for bit, which is what lets a survey go on after it was killed.
"""

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.formats.shown import short_repr


@dataclass(slots=True, eq=False)
class Running:
    """Running moments of a table of numbers; a NaN in a cell leaves that cell as it is."""

    shape: tuple[int, ...]
    n: Float[Tensor, "*shape"] = field(init=False)  # how many numbers each cell has seen
    mean: Float[Tensor, "*shape"] = field(init=False)
    squares: Float[Tensor, "*shape"] = field(init=False)  # sum of squared differences from the mean

    __repr__ = short_repr

    def __post_init__(self) -> None:
        self.n, self.mean, self.squares = (torch.zeros(self.shape, dtype=torch.float64) for _ in range(3))

    def add(self, values: Float[Tensor, "*shape"]) -> None:
        """One more number for each cell. Source: Welford 1962."""
        values = values.double()
        here = ~values.isnan()
        n = self.n + here
        difference = torch.where(here, values - self.mean, 0)
        mean = self.mean + difference / n.clamp_min(1)
        self.squares = self.squares + torch.where(here, difference * (values - mean), 0)
        self.n, self.mean = n, mean

    def merge(self, other: "Running") -> None:
        """What both saw. Source: Chan, Golub & LeVeque 1983, equation 2.1."""
        if self.shape != other.shape:
            raise ValueError(f"only tables of one shape merge; got {self.shape} and {other.shape}")
        n = self.n + other.n
        share = other.n / n.clamp_min(1)
        difference = other.mean - self.mean
        self.mean = self.mean + difference * share
        self.squares = self.squares + other.squares + difference.square() * self.n * share
        self.n = n

    @property
    def sd(self) -> Float[Tensor, "*shape"]:
        """Standard deviation with n − 1; NaN for fewer than two numbers."""
        return (self.squares / (self.n - 1)).clamp_min(0).sqrt().masked_fill(self.n < 2, math.nan)

    @property
    def average(self) -> Float[Tensor, "*shape"]:
        """The mean; NaN where nothing was seen."""
        return self.mean.masked_fill(self.n == 0, math.nan)

    def tensors(self) -> dict[str, Float[Tensor, "*shape"]]:
        """The three tables by name, float64, as `of` takes them: for a file."""
        return {"n": self.n, "mean": self.mean, "squares": self.squares}

    @classmethod
    def of(cls, tensors: dict[str, Float[Tensor, "*shape"]]) -> "Running":
        """From what `tensors` gave."""
        made = cls(tuple(tensors["n"].shape))
        made.n, made.mean, made.squares = (tensors[name].clone() for name in ("n", "mean", "squares"))
        return made


def half_width(sd: Float[Tensor, "*shape"], n: Float[Tensor, "*shape"], confidence: float) -> Float[Tensor, "*shape"]:
    """Half the confidence interval of a mean, in the unit of `sd`: Student's t with n − 1 degrees · sd / √n.

    `confidence` is a share, 0.99 for 99 %. NaN where n < 2: one number has no spread.
    """
    from scipy.special import stdtrit  # here: it takes half a second, and a page opens without it

    t = torch.from_numpy(stdtrit((n.double() - 1).numpy(), (1 + confidence) / 2))
    return t * sd / n.sqrt()
