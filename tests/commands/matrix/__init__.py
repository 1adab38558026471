"""The support matrix: every text architecture that transformers knows, built tiny and random, captured and proven."""
