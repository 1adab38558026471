"""Tokens are shown as they are, and text is made fit for a tokenizer."""

import codecs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from attention_core.text import tokens


def shown(piece: str, style: tokens.Style = "plain") -> str:
    return tokens.display(piece, style=style)


def byte_level(text: str | bytes) -> str:
    """Text in the byte-level alphabet of GPT-2, as the tokenizers library writes it."""
    data = text.encode() if isinstance(text, str) else text
    alphabet = {byte: character for character, byte in tokens._BYTE_OF.items()}
    return "".join(alphabet[byte] for byte in data)


@pytest.mark.parametrize(
    ("style", "piece", "text"),
    [
        ("byte-level", "Ġthe", "·the"),
        ("byte-level", "Ċ", "⏎"),
        ("byte-level", "ĠĠ", "··"),
        ("byte-level", "cafÃ©", "café"),  # é is the bytes C3 A9
        ("byte-level", "ðŁĺĢ", "😀"),
        ("byte-level", "âĤ", "⟨E2⟩⟨82⟩"),  # € without its last byte, AC
        ("byte-level", "<|im_start|>", "<|im_start|>"),
        ("byte-level", "<｜end▁of▁text｜>", "<｜end▁of▁text｜>"),  # outside the alphabet: stands for itself
        ("sentencepiece", "▁the", "·the"),
        ("sentencepiece", "▁", "·"),
        ("sentencepiece", "<0x0A>", "⏎"),
        ("sentencepiece", "<0xE2>", "⟨E2⟩"),
        ("sentencepiece", "Ġ", "Ġ"),
        ("wordpiece", "##ing", "‿ing"),
        ("wordpiece", "##", "##"),
        ("wordpiece", "the", "the"),
        ("plain", "##ing", "##ing"),
        ("plain", "a b\tc\nd", "a·b⇥c⏎d"),
    ],
)
def test_each_style_has_its_own_signs_for_blank_and_join(style, piece, text):
    assert shown(piece, style) == text


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "$x$", "**b**", ":smile:", "&amp;", "שלום", "😀", "½"])
def test_markup_emoji_and_right_to_left_text_are_literal(text):
    assert shown(text) == text


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("\x00", "␀"),
        ("\r", "␍"),
        ("\x1b", "␛"),
        ("\x7f", "␡"),
        ("\x85", "⟨U+0085⟩"),
        ("\u202eabc", "⟨U+202E⟩abc"),  # would turn the rest of the line around
        ("\u200b", "⟨U+200B⟩"),
        ("\ufeff", "⟨U+FEFF⟩"),
        ("\u00a0", "⟨U+00A0⟩"),
        ("\u2028", "⟨U+2028⟩"),
        ("\u3164", "⟨U+3164⟩"),
        ("\ue000", "⟨U+E000⟩"),
        ("\U000e0041", "⟨U+E0041⟩"),
    ],
)
def test_what_cannot_be_seen_gets_a_sign(text, sign):
    assert shown(text) == sign


def test_joiners_inside_emoji_belong_to_them_and_elsewhere_get_a_sign():
    assert shown("👩🏽\u200d💻❤\ufe0f") == "👩🏽\u200d💻❤\ufe0f"
    assert shown("a\u200db") == "a⟨U+200D⟩b"
    assert shown("\ufe0f") == "⟨U+FE0F⟩"


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8), st.sampled_from(tokens.STYLES))
def test_nothing_shown_can_break_a_line_or_turn_its_direction(text, style):
    assert not set(shown(text, style)) & set(
        "\n\r\t \u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    )


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8))
def test_byte_level_pieces_show_the_text_whose_bytes_they_spell(text):
    assert shown(byte_level(text), "byte-level") == shown(text)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=6))
def test_bytes_that_spell_no_text_are_shown_where_python_cannot_decode_them(data):
    """Reference: Python's own decoder with an error handler that writes ⟨XX⟩."""
    codecs.register_error(
        "digits", lambda error: ("".join(f"⟨{b:02X}⟩" for b in data[error.start : error.end]), error.end)
    )
    assert shown(byte_level(data), "byte-level") == shown(data.decode("utf-8", "digits"))


def test_the_byte_alphabet_is_the_one_of_the_tokenizers_library():
    assert set(tokens._BYTE_OF) == set(pre_tokenizers.ByteLevel.alphabet())
    decode = decoders.ByteLevel().decode
    for character, byte in tokens._BYTE_OF.items():
        if byte < 0x80:
            assert decode([character]) == chr(byte)


@pytest.mark.parametrize(
    ("pieces", "style"),
    [
        (["<|endoftext|>", "Ġthe", "ing", "##", "##a"], "byte-level"),
        (["<unk>", "<0x0A>", "▁the", "ing"], "sentencepiece"),
        (["[PAD]", "the", "##ing", "##s"], "wordpiece"),
        (["0", "1", "2"], "plain"),
        ([], "plain"),
    ],
)
def test_a_vocabulary_tells_its_style(pieces, style):
    assert tokens.guess_style(pieces) == style


def test_tokens_from_the_lists_of_a_real_tokenizer():
    """A byte-level tokenizer trained on one sentence: its pieces, joined, spell the text again."""
    text = "the cat sat; the cats sat"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator([text] * 3, trainers.BpeTrainer(special_tokens=["<s>"], show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    encoding = tokenizer.encode(text)
    got = tokens.tokens_from(
        encoding.tokens,
        encoding.ids,
        encoding.offsets,
        [bool(flag) for flag in encoding.special_tokens_mask],
        encoding.word_ids,
        tokens.guess_style(tokenizer.get_vocab()),
    )
    assert got[0] == tokens.Token(text="<s>", id=0, span=(0, 0), special=True, piece="<s>", word=None)
    assert "".join(token.text for token in got[1:]) == text.replace(" ", "·")
    assert all(token.piece[-1] == text[token.span[1] - 1] for token in got[1:])
    assert not any(token.special for token in got[1:])


def test_lists_of_different_length_are_refused_by_name():
    with pytest.raises(ValueError, match="pieces 2, ids 3, spans 2, specials 2, words 2"):
        tokens.tokens_from(["a", "b"], [1, 2, 3], [(0, 1), (1, 2)], [False, False], [0, 1], "plain")


@pytest.mark.parametrize(
    ("style", "pieces", "words"),
    [
        ("wordpiece", ["token", "##ization", "is", "fun", "."], [0, 0, 1, 2, 3]),
        ("byte-level", ["token", "ization", "Ġis", "Ġfun", "."], [0, 0, 1, 2, 3]),
        ("byte-level", ["Ġdon", "'t", "Ċ", "(", "x", ")"], [0, 0, 1, 2, 3, 4]),
        ("sentencepiece", ["▁token", "ization", "▁is", ",", "▁", "▁fun"], [0, 0, 1, 2, 3, 4]),
        ("plain", ["1", "2", "2"], [0, 1, 2]),
    ],
)
def test_words_begin_at_blanks_and_around_punctuation(style, pieces, words):
    assert list(tokens.words_of(pieces, [False] * len(pieces), style)) == words


def test_special_tokens_belong_to_no_word_and_end_one():
    assert tokens.words_of(["<s>", "to", "<s>", "ken"], [True, False, True, False], "byte-level") == (None, 0, None, 1)


def test_a_word_is_its_pieces_without_the_signs_of_joining():
    assert tokens.join_texts(["token", "‿ization"]) == "tokenization"
    assert tokens.join_texts(["·token", "ization"]) == "tokenization"
    assert tokens.join_texts(["·⟨F0⟩⟨9F⟩⟨98⟩", "⟨80⟩"]) == "😀"  # an emoji that the vocabulary splits
    assert tokens.join_texts(["⟨E2⟩", "⟨82⟩"]) == "⟨E2⟩⟨82⟩"
    assert tokens.join_texts(["·"]) == "·"


def test_clean_text_says_what_it_changed():
    text, sentences = tokens.clean_text("a\x00b\x1bc\ud800d\te\r\nf\rg")
    assert text == "abc\ufffdd\te\nf\ng"
    assert sentences == ["2 control characters were removed.", "1 broken character was replaced by �."]


def test_clean_text_leaves_good_text_alone_without_a_word():
    for text in ("", "  ", "ünï\n\t<script>$x$ שלום \u202e😀"):
        assert tokens.clean_text(text) == (text, [])


def test_two_halves_of_a_character_become_one():
    assert tokens.clean_text("\ud83d\ude00") == ("😀", [])


def test_a_text_that_is_too_long_is_cut_and_says_so():
    text, sentences = tokens.clean_text("x" * (tokens.MAX_CHARACTERS + 7))
    assert len(text) == tokens.MAX_CHARACTERS
    assert sentences == ["The text is 100,007 characters long; the first 100,000 are read, the last 7 were cut off."]


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=st.characters(), max_size=20))
def test_clean_text_is_always_fit_for_a_tokenizer_and_clean_already(text):
    cleaned, _ = tokens.clean_text(text)
    cleaned.encode("utf-8")
    assert tokens.clean_text(cleaned) == (cleaned, [])


def test_a_lone_blank_sign_is_never_a_word():
    """It belongs to the word after it, several together too; at the end to the word before."""
    pieces = ["<s>", "▁", "猫", "▁", "▁", "(", "▁a", "▁", "</s>"]
    specials = [True, *[False] * 7, True]
    words = [None, 0, 1, 2, 3, 4, 5, 6, None]
    assert tokens.join_blanks(pieces, words, specials) == (None, 1, 1, 4, 4, 4, 5, 5, None)
    assert tokens.join_blanks(["▁the", "▁cat"], [0, 1], [False, False]) == (0, 1)
