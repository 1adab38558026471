"""What we lean on inside tokenizers, which is written in Rust: how it fails."""


def is_panic(error: BaseException) -> bool:
    """Did the library's own code fail? Its panics are no `Exception`, and their class cannot be imported.

    Told by the name of the class. Without this a stranger's tokenizer would end a visitor's thread without a word.
    """
    return type(error).__name__ == "PanicException"
