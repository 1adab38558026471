"""The baseline that a language model is compared with: a Kneser–Ney trigram over the same tokens."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


class KneserNeyTrigram:
    """An interpolated Kneser–Ney trigram, counted on a text's tokens.

    One discount per order, n₁ ÷ (n₁ + 2 n₂) of its counts; the unigram is mixed with the uniform distribution, so no
    token of the vocabulary has probability 0. Source: Chen & Goodman 1999, section 3 (interpolated, not modified).
    """

    def __init__(self, ids: Int[Tensor, " position"], d_vocab: int) -> None:
        if len(ids) < 3:
            raise ValueError(f"a trigram needs at least 3 tokens to count; there are {len(ids)}")
        if int(ids.min()) < 0 or int(ids.max()) >= d_vocab:
            raise ValueError(f"token ids must lie in 0 … {d_vocab - 1}")
        self.d_vocab = d_vocab
        trigrams = (ids[:-2] * d_vocab + ids[1:-1]) * d_vocab + ids[2:]
        types, counts = trigrams.unique(return_counts=True)
        self._trigram = _Order(types, counts, d_vocab)
        # Lower orders count the different tokens that come before, not occurrences: the idea of Kneser and Ney.
        types, counts = (types % d_vocab**2).unique(return_counts=True)
        self._bigram = _Order(types, counts, d_vocab)
        types, counts = (types % d_vocab).unique(return_counts=True)
        self._unigram = _Order(types, counts, d_vocab)

    def probability(self, grams: Int[Tensor, "gram 3"]) -> Float[Tensor, " gram"]:
        """p(third token | first two) for each row, float64."""
        first, second, third = (column.contiguous() for column in grams.T)
        uniform = torch.full((len(grams),), 1 / self.d_vocab, dtype=torch.float64)
        unigram = self._unigram.mix(third, torch.zeros_like(third), uniform)
        bigram = self._bigram.mix(second * self.d_vocab + third, second, unigram)
        context = first * self.d_vocab + second
        return self._trigram.mix(context * self.d_vocab + third, context, bigram)

    def losses(self, ids: Int[Tensor, " position"]) -> Float[Tensor, " target"]:
        """Surprise in nats at every token of a text from the third on, float64."""
        return -self.probability(ids.unfold(0, 3, 1)).log()


class _Order:
    """Counts of the n-grams of one order, ready to be looked up by their code: context · d_vocab + token."""

    def __init__(self, types: Int[Tensor, " type"], counts: Int[Tensor, " type"], d_vocab: int) -> None:
        once, twice = int((counts == 1).sum()), int((counts == 2).sum())
        self.discount = once / (once + 2 * twice) if once else 0.5
        self.types, self.counts = types, counts.double()
        contexts, place = (types // d_vocab).unique(return_inverse=True)
        self.contexts = contexts
        self.totals = torch.zeros(len(contexts), dtype=torch.float64).index_add_(0, place, self.counts)
        self.followers = torch.zeros(len(contexts), dtype=torch.float64).index_add_(
            0, place, torch.ones(len(types), dtype=torch.float64)
        )

    def mix(
        self, grams: Int[Tensor, " gram"], contexts: Int[Tensor, " gram"], lower: Float[Tensor, "#gram"]
    ) -> Float[Tensor, " gram"]:
        """Discounted share of each gram plus what the discount freed, spread as the lower order says."""
        counts = _look_up(self.types, self.counts, grams)
        totals = _look_up(self.contexts, self.totals, contexts)
        followers = _look_up(self.contexts, self.followers, contexts)
        seen = totals > 0
        safe = totals.clamp_min(1)
        mixed = (counts - self.discount).clamp_min(0) / safe + self.discount * followers / safe * lower
        return torch.where(seen, mixed, lower)


def _look_up(
    keys: Int[Tensor, " known"], values: Float[Tensor, " known"], wanted: Int[Tensor, " gram"]
) -> Float[Tensor, " gram"]:
    """The value of each wanted key in a sorted list of keys; 0 where it is missing."""
    at = torch.searchsorted(keys, wanted).clamp_max(len(keys) - 1)
    return torch.where(keys[at] == wanted, values[at], 0.0)
