"""Words of scripts without blanks, against ICU's own answer."""

import pytest
from icu4py.breakers import WordBreaker
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from attention_core import capture
from attention_core.models.loading import wrap_model
from attention_core.reading.reading import Reading, items
from attention_core.text import word_breaks
from tests.support import tiny

SENTENCES = {
    "zh": "我爱北京天安门，今天天气很好。",
    "ja": "東京大学で勉強しています。",
    "th": "ฉันรักภาษาไทยมาก",
    "km": "ខ្ញុំស្រលាញ់ភាសាខ្មែរ",
    "my": "ကျွန်ုပ်တို့သည်",
    "lo": "ຂ້ອຍຮັກພາສາລາວ",
    "ja and Latin": "𠮷野家でPythonを学ぶ",  # the first letter lies beyond U+FFFF
}


def reads(kind: str):
    """A model whose pieces are single letters (one word for its tokenizer), or single bytes."""
    if kind == "letters":
        made = Tokenizer(models.BPE(unk_token="[UNK]"))
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        made.train_from_iterator(SENTENCES.values(), trainers.BpeTrainer(special_tokens=["[UNK]"], vocab_size=1))
    else:
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        made.train_from_iterator([], trainers.BpeTrainer(vocab_size=256, initial_alphabet=alphabet))
    model = tiny.random_model("BertModel", **tiny._BERT)
    model.resize_token_embeddings(len(made.get_vocab()))
    return wrap_model(model, PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=64))


@pytest.mark.parametrize("kind", ["letters", "bytes"])
@pytest.mark.parametrize("language", SENTENCES)
def test_words_without_blanks_are_those_of_icu(language, kind):
    text = SENTENCES[language][: 21 if kind == "bytes" else 64]
    trace = capture(reads(kind), text)
    words: dict[int, list[int]] = {}
    for token in trace.tokens:
        words.setdefault(token.word, []).extend(token.span)
    assert None not in words
    assert [text[min(span) : max(span)] for span in words.values()] == list(WordBreaker(text, language[:2]))


def test_where_icu_is_not_there_the_page_says_so_and_no_word_is_made_up(monkeypatch):
    monkeypatch.setattr("attention_core.text.word_breaks.known", lambda: False)
    monkeypatch.setattr("attention_core.capturing.encode.known", lambda: False)
    trace = capture(reads("letters"), SENTENCES["zh"])
    assert word_breaks.NOT_KNOWN in trace.notes
    assert len(items(trace.tokens, Reading(words=True))) == len(SENTENCES["zh"])  # a lone ▁ is none


def test_words_between_blanks_are_left_as_they_were():
    assert word_breaks.split_words("don't stop", [(0, 5), (6, 10)], [4, 7]) == (4, 7)
