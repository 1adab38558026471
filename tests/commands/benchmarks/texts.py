"""Texts of an exact number of tokens."""

WORDS = "the old man saw a small dog near the river and gave it some of his bread before the rain came".split()


def text_of(n_tokens: int, specials: int = 2) -> str:
    """A text of exactly `n_tokens` in BERT's vocabulary, special tokens included: every word is one piece."""
    return " ".join(WORDS[i % len(WORDS)] for i in range(n_tokens - specials))
