"""Chat templates against transformers' own, and special tokens that are typed where the tokenizer adds the same one."""

import resource

import pytest

from attention_core import capture, load_trace
from attention_core.capturing.encode import CaptureError, count_tokens
from attention_core.reading.generation import GenerationError, append_token, continue_text
from attention_core.record.file import trace_bytes
from attention_core.text import chat_child
from attention_core.text.chat import ChatError, chat_prompt
from tests.support import tiny
from tests.support.chatty import TEMPLATE, bare, chatty, tokenizer

TWICE = "{} was typed where the model is given one anyway: it is read twice. Take it out of the text."
TEMPLATES = {
    "a start token of its own": TEMPLATE,
    "no start token": TEMPLATE.removeprefix("{{ bos_token }}"),
    "the last message alone, in words": "{{ bos_token }}the dog {{ messages[-1]['content'] }} and then",
    "loop controls, a namespace and a date": "{% set ns = namespace(n=0) %}{% for m in messages %}"
    "{% set ns.n = ns.n + 1 %}{% if ns.n > 1 %}{% break %}{% endif %}<|user|>{{ m.content }}"
    "{{ strftime_now('%Y')[:0] }}{% endfor %}<|bot|>",
}


def computed_by_children() -> float:
    """Seconds that the processes which this one started, and which have ended, have computed: not waited."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_chat_is_read_in_the_tokens_of_transformers_own_template(name):
    model = chatty(TEMPLATES[name])
    text = " the cat sat on a mat "
    expected = model.tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], add_generation_prompt=True, return_dict=True
    )["input_ids"]
    trace = capture(model, text, chat=True)
    assert [token.id for token in trace.tokens] == list(expected)
    assert (trace.chat, trace.notes) == (text, ())
    assert trace.text == chat_prompt(model.tokenizer, text)
    assert count_tokens(model, text, chat=True).n_tokens == len(expected)
    assert load_trace(trace_bytes(trace)).chat == text


def test_the_templates_marks_are_special_and_the_users_words_are_not():
    trace = capture(chatty(), "the cat sat", chat=True)
    assert [token.piece for token in trace.tokens if token.special] == ["<s>", "<|user|>", "<|end|>", "<|bot|>"]
    assert [token.piece for token in trace.tokens if not token.special] == ["the", "cat", "sat"]
    assert all(trace.text[slice(*token.span)] == token.piece for token in trace.tokens)


def test_a_pasted_prompt_that_begins_with_the_start_token_is_said_to_read_it_twice():
    model = chatty()
    trace = capture(model, chat_prompt(model.tokenizer, "the cat sat"))
    assert [token.piece for token in trace.tokens[:3]] == ["<s>", "<s>", "<|user|>"]
    assert trace.notes == (TWICE.format("<s>"),)
    assert not capture(model, "the cat sat").notes


def test_other_tokens_that_a_tokenizer_adds_are_said_to_be_doubled_too(tmp_path):
    from attention_core.models.loading import wrap_model
    from tests.support.translators import SOURCE, build

    assert capture(tiny.family("bert"), "the cat sat [SEP]").notes == (TWICE.format("[SEP]"),)
    assert capture(tiny.family("bert"), "the [SEP] cat").notes == ()
    assert capture(tiny.family("bart"), "the cat", target="[CLS] a dog").notes == (TWICE.format("[CLS]"),)
    mbart = wrap_model(*build("mbart", tmp_path))
    assert capture(mbart, SOURCE, target="de_DE der").notes == (TWICE.format("de_DE"),)


def test_a_pasted_prompt_inside_the_template_is_said():
    model = chatty()
    trace = capture(model, "<|user|> the cat <|end|>", chat=True)
    assert trace.notes[-1] == (
        "The text holds <|user|>, <|end|> already, and the chat template is put around it once more. "
        "Take them out, or switch the template off."
    )


def test_an_answer_continues_the_prompt_and_reads_the_same_without_the_template():
    model, whole = chatty(), bare()
    made = continue_text(model, "the cat sat", 3, chat=True)
    inputs = tokenizer().apply_chat_template(
        [{"role": "user", "content": "the cat sat"}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    own = whole.generate(**inputs, max_new_tokens=3, do_sample=False)[0, inputs["input_ids"].shape[1] :].tolist()
    assert [choice.id for choice in made.added] == own[: len(made.added)] and made.added
    assert made.text.startswith("<|user|>the cat sat<|end|><|bot|>")
    again = capture(model, made.text)
    assert [token.id for token in again.tokens] == [*inputs["input_ids"][0].tolist(), *own[: len(made.added)]]
    assert not again.notes
    dog = tiny.WORDS.index("dog")
    assert append_token(model, "the cat sat", dog, chat=True).text.endswith("<|bot|> dog")


def test_a_chat_that_is_too_long_is_cut_at_a_place_in_what_was_typed():
    model = chatty(limit=7)
    text = tiny.SENTENCE
    counted = count_tokens(model, text, chat=True)
    assert (counted.n_tokens, counted.n_special) == (14, 2)
    assert text[: counted.cut_from] == "the cat sat on a"
    assert capture(model, text, chat=True).notes == (
        "The model reads at most 7 tokens: 7 of 14 were cut, up to “er|>the cat sat on a”.",
    )


def test_a_model_without_a_template_says_so():
    with pytest.raises(CaptureError, match="has no chat template: switch it off"):
        capture(chatty(None), "the cat", chat=True)
    with pytest.raises(GenerationError, match="has no chat template"):
        continue_text(chatty(None), "the cat", chat=True)
    with pytest.raises(CaptureError, match="takes one text"):
        capture(chatty(), "the cat", "a dog", chat=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("template", "says"),
    {
        "refuses": ("{{ raise_exception('roles must alternate') }}", "does not take this text: roles must alternate."),
        "is broken": ("{% for message in %}", "does not take this text: "),
        "reaches out": ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "does not take this text: "),
        "never ends": (
            "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
            "too much time or memory",
        ),
        "fills the memory": ("{{ 'a' * 9000000000 }}", "too much memory"),
        "grows": (
            "{% set n = namespace(s='aaaaaaaa') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
            "too much",
        ),
        "writes too much": ("{{ 'a' * 300000 }}", "too long"),
    }.values(),
)
def test_a_hostile_template_ends_in_a_sentence(template, says):
    before = computed_by_children()
    with pytest.raises(ChatError, match=r"chat template") as error:
        chat_prompt(tokenizer(template), "the cat")
    assert says in str(error.value) and "\n" not in str(error.value)
    assert computed_by_children() - before < chat_child.CPU_SECONDS + 2


def test_markup_in_a_text_reaches_the_template_as_data():
    text = "the {{ 7 * 7 }} <b> \u2028 “cat” 猫"
    assert chat_prompt(tokenizer(), text) == f"<s><|user|>{text}<|end|><|bot|>"
