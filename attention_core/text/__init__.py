"""Text before and after a tokenizer: pieces as a person can read them, words, marks on tokens.

No model: a tokenizer comes in as an argument.
"""
