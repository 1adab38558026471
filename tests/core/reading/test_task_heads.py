"""What a fine-tuned model predicts, against the plain forward of the class that its config names."""

import inspect
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from attention_core import capture, load_model, load_trace
from attention_core.capturing.capture import capture_ids
from attention_core.capturing.encode import CaptureError, count_tokens
from attention_core.models.facts import LoadedModel
from attention_core.models.loading import wrap_model
from attention_core.reading.predictions import Answer, Choices, Labels, Tags
from attention_core.reading.readout import Unsaid
from attention_core.record.file import trace_bytes
from attention_core.text.tokens import second_sentence
from tests.support import tiny

QUESTION, CONTEXT = "the dog ran", "a cat sat on the mat while it slept"
NAMES = {0: "no", 1: "<b>yes</b>", 2: "perhaps"}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    **tiny.FAMILIES,
    "roberta": ("RobertaModel", {**tiny._BERT, "max_position_embeddings": 66, "pad_token_id": 0}),
    "electra": ("ElectraModel", {**tiny._BERT, "embedding_size": 7}),
    "distilbert": ("DistilBertModel", {"dim": 15, "n_heads": 3, "n_layers": 2, "hidden_dim": 17}),
    "deberta-v2": ("DebertaV2Model", {**tiny._BERT, "pooler_hidden_size": 15}),
    "xlnet": ("XLNetModel", {"d_model": 18, "n_head": 3, "n_layer": 2, "d_inner": 17}),
    "mt5": ("MT5Model", tiny.FAMILIES["t5"][1]),
}
LABELLING = {
    "bert": "BertForSequenceClassification",
    "roberta": "RobertaForSequenceClassification",
    "distilbert": "DistilBertForSequenceClassification",
    "electra": "ElectraForSequenceClassification",
    "deberta-v2": "DebertaV2ForSequenceClassification",  # hides q and k; pools by itself
    "gpt2": "GPT2ForSequenceClassification",  # the last token that is no padding
    "llama": "LlamaForSequenceClassification",
    "xlnet": "XLNetForSequenceClassification",
    "t5": "T5ForSequenceClassification",
    "bart": "BartForSequenceClassification",
    "mbart": "MBartForSequenceClassification",
    "mt5": "MT5ForSequenceClassification",
}
TAGGING = {
    "bert": "BertForTokenClassification",
    "electra": "ElectraForTokenClassification",
    "t5": "T5ForTokenClassification",  # its encoder alone
    "mt5": "MT5ForTokenClassification",
    "modernbert": "ModernBertForTokenClassification",
    "qwen3": "Qwen3ForTokenClassification",
}
ANSWERING = {
    "bert": "BertForQuestionAnswering",
    "distilbert": "DistilBertForQuestionAnswering",
    "albert": "AlbertForQuestionAnswering",
    "bart": "BartForQuestionAnswering",
    "t5": "T5ForQuestionAnswering",  # has its body's parts as its own
}
CHOOSING = {
    "bert": "BertForMultipleChoice",
    "distilbert": "DistilBertForMultipleChoice",
    "xlnet": "XLNetForMultipleChoice",
}


def whole(family: str, architecture: str, **changes: Any) -> Any:
    """A tiny random model of a family with a head for a task."""
    sizes = {**FAMILIES[family][1], "num_labels": 2 if "Question" in architecture else 3, "eos_token_id": 3}
    return tiny.random_model(architecture, **{**sizes, **changes})


def told(model: Any, text: str, pair: str | None = None) -> Any:
    """What transformers' own class answers."""
    encoded = tiny.tokenizer()(text, pair, return_tensors="pt")
    known = inspect.signature(model.forward).parameters
    encoded = {name: ids for name, ids in encoded.items() if name in known}
    with torch.inference_mode():
        return model(**encoded)


def opened(model: Any, folder: Path) -> LoadedModel:
    """The model as it is loaded from the folder that it is saved in."""
    model.save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return load_model(str(folder))


@pytest.fixture(params=["folder", "memory"])
def ready(request, tmp_path):
    """Make a model ready for `capture`, from a folder and in memory."""
    if request.param == "folder":
        return lambda model: opened(model, tmp_path / "model")
    return lambda model: wrap_model(model, tiny.tokenizer())


@pytest.mark.parametrize("family", LABELLING)
def test_labels_are_those_of_the_class_that_the_config_names(family, ready):
    expected = told(whole(family, LABELLING[family]), tiny.SENTENCE).logits[0]
    trace = capture(ready(whole(family, LABELLING[family], id2label=NAMES)), tiny.SENTENCE)
    readout = trace.readout()
    assert isinstance(readout, Labels)
    torch.testing.assert_close(readout.logits, expected, atol=1e-5, rtol=1e-5)
    shares = expected.double().softmax(dim=0)
    assert [one.text for one in readout.labels] == [NAMES[i] for i in shares.argsort(descending=True).tolist()]
    assert [one.probability for one in readout.labels] == pytest.approx(
        [float(shares[one.id]) for one in readout.labels]
    )
    assert all(check.holds for i, layer in enumerate(trace.layers) if layer.exact for check in trace.proof(i, 0))


def test_a_pair_is_labelled_as_a_pair():
    model = whole("roberta", "RobertaForSequenceClassification")
    expected = told(model, QUESTION, CONTEXT).logits[0]
    readout = capture(wrap_model(model, tiny.tokenizer()), QUESTION, CONTEXT).readout()
    assert isinstance(readout, Labels)
    torch.testing.assert_close(readout.logits, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", ["bart", "mbart", "t5", "mt5"])
def test_the_decoder_of_a_classifier_reads_the_whole_text_and_its_attention_is_that_of_the_prediction(family):
    model = whole(family, LABELLING[family])
    trace = capture(wrap_model(model, tiny.tokenizer()), tiny.SENTENCE, target="far away")
    assert [token.text for token in trace.target_tokens[1:]] == [token.text for token in trace.source_tokens[:-1]]
    assert trace.target is None
    assert any("read the whole text" in note for note in trace.notes)
    assert any("not used" in note for note in trace.notes)
    plain = whole(family, LABELLING[family])
    plain.set_attn_implementation("eager")
    with torch.inference_mode():
        encoded = tiny.tokenizer()(tiny.SENTENCE, return_tensors="pt")
        run = plain(encoded["input_ids"], output_attentions=True)
    kinds = {
        "encoder self": run.encoder_attentions,
        "decoder self": run.decoder_attentions,
        "cross": run.cross_attentions,
    }
    for i, layer in enumerate(trace.layers):
        torch.testing.assert_close(trace.weights(i, 1), kinds[layer.kind][layer.index][0, 1], atol=1e-5, rtol=1e-5)


def test_a_classifier_whose_config_names_no_start_token_says_so():
    model = whole("t5", "T5ForSequenceClassification", decoder_start_token_id=None)
    with pytest.raises(CaptureError, match="with which token its decoder begins"):
        capture(wrap_model(model, tiny.tokenizer()), tiny.SENTENCE)


def test_a_classifier_without_an_end_token_says_so():
    tokenizer = tiny.tokenizer(specials=False)
    with pytest.raises(CaptureError, match="end token"):
        capture(wrap_model(whole("bart", "BartForSequenceClassification"), tokenizer), tiny.SENTENCE)


def test_probes_are_read_by_a_classifier_that_reads_twice():
    model = wrap_model(whole("bart", "BartForSequenceClassification"), tiny.tokenizer())
    trace = capture_ids(model, [5, 6, 7], [2, 8])
    assert [token.id for token in trace.target_tokens] == [2, 8]


@pytest.mark.parametrize(
    ("stated", "n", "how"),
    [
        ("multi_label_classification", 3, "each by itself"),
        ("single_label_classification", 3, "one of them"),
        ("regression", 3, "value"),
        ("regression", 1, "value"),
        (None, 1, "value"),
    ],
)
def test_what_a_number_means_is_what_the_problem_type_says(stated, n, how):
    model = whole("bert", "BertForSequenceClassification", num_labels=n, problem_type=stated)
    logits = told(model, tiny.SENTENCE).logits[0].double()
    readout = capture(wrap_model(model, tiny.tokenizer()), tiny.SENTENCE).readout()
    assert isinstance(readout, Labels) and readout.how == how
    for one in readout.labels:
        expected = {"each by itself": logits.sigmoid(), "one of them": logits.softmax(dim=0), "value": None}[how]
        assert one.logit == pytest.approx(float(logits[one.id]), abs=1e-5)
        assert one.probability == (None if expected is None else pytest.approx(float(expected[one.id]), abs=1e-6))


@pytest.mark.parametrize("family", TAGGING)
def test_tags_are_those_of_the_class_that_the_config_names(family, ready):
    expected = told(whole(family, TAGGING[family]), tiny.SENTENCE).logits[0]
    trace = capture(ready(whole(family, TAGGING[family], id2label=NAMES)), tiny.SENTENCE)
    readout = trace.readout()
    assert isinstance(readout, Tags)
    torch.testing.assert_close(readout.logits, expected, atol=1e-5, rtol=1e-5)
    assert [tag.text for tag in readout.tags] == tiny.SENTENCE.split()
    for tag in readout.tags:
        shares = expected[tag.position].double().softmax(dim=0)
        assert tag.best[0].text == NAMES[int(shares.argmax())]
        assert tag.best[0].probability == pytest.approx(float(shares.max()), abs=1e-5)
    assert [word for word, _ in readout.by_word] == tiny.SENTENCE.split()


@pytest.mark.parametrize("family", ANSWERING)
def test_an_answer_is_the_likeliest_stretch_of_the_context(family, ready):
    run = told(whole(family, ANSWERING[family]), QUESTION, CONTEXT)
    trace = capture(ready(whole(family, ANSWERING[family])), QUESTION, CONTEXT)
    readout = trace.readout()
    assert isinstance(readout, Answer)
    torch.testing.assert_close(
        readout.logits, torch.stack((run.start_logits[0], run.end_logits[0])), atol=1e-5, rtol=1e-5
    )
    begins, ends = run.start_logits[0].double().softmax(dim=0), run.end_logits[0].double().softmax(dim=0)
    context = [i for i, token in enumerate(trace.tokens) if not token.special][len(QUESTION.split()) :]
    shares = {(i, j): float(begins[i] * ends[j]) for i in context for j in context if i <= j}
    best = sorted(shares.values(), reverse=True)[:5]
    assert [span.probability for span in readout.spans] == pytest.approx(best, abs=1e-6)
    for span in readout.spans:
        assert shares[span.first, span.last] == pytest.approx(span.probability, abs=1e-6)
        words = CONTEXT.split()[context.index(span.first) : context.index(span.last) + 1]
        assert span.text == " ".join(words)
    assert readout.none == pytest.approx(float(begins[0] * ends[0]), abs=1e-6)


@pytest.mark.parametrize("family", CHOOSING)
def test_choices_are_the_lines_of_the_second_sentence(family, ready):
    lines = ["it slept", "it ran far away", "a mat sat"]
    model = whole(family, CHOOSING[family])
    expected = torch.cat([told_choice(model, QUESTION, line) for line in lines])
    trace = capture(ready(whole(family, CHOOSING[family])), QUESTION, "\n".join(["", *lines, " "]))
    readout = trace.readout()
    assert isinstance(readout, Choices)
    torch.testing.assert_close(readout.logits, expected, atol=1e-5, rtol=1e-5)
    shares = expected.double().softmax(dim=0)
    assert {one.text: one.probability for one in readout.labels} == pytest.approx(
        dict(zip(lines, shares.tolist(), strict=True))
    )
    shown = [token.text for token in trace.tokens if not token.special]
    assert shown == [*QUESTION.split(), *lines[0].split()]
    assert any("3 choices" in note for note in trace.notes)
    ending = trace.ending
    assert ending is not None and count_tokens(ending.model, QUESTION, "\n".join(lines)).n_tokens == len(trace.tokens)


def told_choice(model: Any, text: str, line: str) -> torch.Tensor:
    encoded = tiny.tokenizer()(text, line, return_tensors="pt")
    if "DistilBert" in type(model).__name__:
        encoded.pop("token_type_ids", None)
    with torch.inference_mode():
        return model(**{name: ids[:, None] for name, ids in encoded.items()}).logits[0]


@pytest.mark.parametrize("architecture", ["BertForNextSentencePrediction", "MegatronBertForNextSentencePrediction"])
def test_whether_a_sentence_follows_is_said_in_words(architecture):
    sizes = {**tiny._BERT, "eos_token_id": 3}
    model = tiny.random_model(architecture, **sizes)
    expected = told(model, QUESTION, CONTEXT).logits[0]
    ready = wrap_model(model, tiny.tokenizer())
    readout = capture(ready, QUESTION, CONTEXT).readout()
    assert isinstance(readout, Labels)
    torch.testing.assert_close(readout.logits, expected, atol=1e-5, rtol=1e-5)
    follows = next(one for one in readout.labels if one.id == 0)
    assert follows.text == "the second sentence follows the first"
    alone = capture(ready, QUESTION).readout()
    assert isinstance(alone, Unsaid) and "Add a second sentence" in alone.reason


@pytest.mark.parametrize(
    ("architecture", "part"),
    [
        ("BertForQuestionAnswering", "Add the text as a second sentence"),
        ("BertForMultipleChoice", "at least two, one a line"),
    ],
)
def test_a_task_that_needs_more_text_says_what(architecture, part):
    readout = capture(wrap_model(whole("bert", architecture), tiny.tokenizer()), tiny.SENTENCE).readout()
    assert isinstance(readout, Unsaid) and part in readout.reason


@pytest.mark.parametrize("family", ["bert", "t5"])
def test_a_head_of_a_size_that_its_class_cannot_read_ends_in_a_sentence(family):
    """Three labels where the class unpacks two: a start and an end."""
    architecture = {"bert": "BertForQuestionAnswering", "t5": "T5ForQuestionAnswering"}[family]
    model = tiny.random_model(architecture, **tiny.FAMILIES[family][1], num_labels=3)
    with pytest.raises(CaptureError, match=f"{architecture} does not read this text: too many values"):
        capture(wrap_model(model, tiny.tokenizer()), tiny.SENTENCE, "the dog ran")


@pytest.mark.parametrize("lost", ["classifier.weight", "bert.pooler.dense.weight"])
def test_a_head_whose_weights_are_missing_predicts_nothing(tmp_path, lost):
    """transformers would make them up at random. The attention does not need them."""
    opened(whole("bert", "BertForSequenceClassification"), tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    weights = load_file(file)
    del weights[lost]
    save_file(weights, file, {"format": "pt"})
    trace = capture(load_model(str(tmp_path / "model")), tiny.SENTENCE)
    readout = trace.readout()
    assert isinstance(readout, Unsaid) and "BertForSequenceClassification" in readout.reason
    assert all(check.holds for check in trace.proof(1, 2))


@pytest.mark.parametrize("architecture", ["ElectraForPreTraining", "XLNetForQuestionAnswering"])
def test_a_head_that_is_not_read_is_named(tmp_path, architecture, ready):
    """Neither a vector of a sentence nor a trace from a file: words that were false."""
    family = architecture[:5].lower().replace("elect", "electra")
    readout = capture(ready(whole(family, architecture, num_labels=2)), tiny.SENTENCE).readout()
    assert isinstance(readout, Unsaid)
    assert architecture in readout.reason
    assert "file" not in readout.reason and "vector. Add" not in readout.reason


def test_a_trace_of_a_fine_tuned_model_is_saved_and_says_later_that_it_came_from_a_file():
    trace = capture(wrap_model(whole("bart", "BartForSequenceClassification"), tiny.tokenizer()), tiny.SENTENCE)
    again = load_trace(trace_bytes(trace))
    assert again.target_tokens == trace.target_tokens
    readout = again.readout()
    assert isinstance(readout, Unsaid) and "came from a file" in readout.reason


def test_the_second_sentence_is_found_by_places_and_without_them():
    fast = capture(wrap_model(whole("bert", "BertForQuestionAnswering"), tiny.tokenizer()), "a", "a cat").tokens
    assert [fast[i].text for i in second_sentence(fast)] == ["a", "cat"]
    from dataclasses import replace

    placeless = [replace(token, span=(0, 0)) for token in fast]
    assert [placeless[i].text for i in second_sentence(placeless)] == ["a", "cat"]
    assert second_sentence([token for token in fast][:3]) == []


def test_predictions_show_themselves_in_a_notebook_as_tables_of_data():
    model = whole("bert", "BertForSequenceClassification", id2label=NAMES)
    readout = capture(wrap_model(model, tiny.tokenizer()), tiny.SENTENCE).readout()
    assert isinstance(readout, Labels)
    html = readout._repr_html_()
    assert html.count("<tr>") == 4
    assert "&lt;b&gt;yes&lt;/b&gt;" in html and "<b>" not in html


def test_a_label_can_be_sent_to_a_browser_whatever_it_holds():
    model = tiny.random_model("BertForSequenceClassification", num_labels=2, **tiny.FAMILIES["bert"][1])
    model.config.id2label = {0: "half \ud800", 1: "nul \x00"}
    readout = capture(wrap_model(model, tiny.tokenizer()), tiny.SENTENCE).readout()
    assert isinstance(readout, Labels)
    assert {label.text for label in readout.labels} == {"half ?", "nul \ufffd"}
    readout._repr_html_().encode("utf-8")


def test_labels_of_a_case_worked_by_hand():
    """softmax([0, ln 3]) = [1/4, 3/4]."""
    from attention_core.models.task_head import TaskHead
    from attention_core.reading.predictions import labelled

    model = whole("bert", "BertForSequenceClassification", num_labels=2)
    found = labelled(TaskHead(model, "labels"), torch.tensor([0.0, math.log(3)]))
    assert [(one.id, one.text) for one in found.labels] == [(1, "LABEL_1"), (0, "LABEL_0")]
    assert [one.probability for one in found.labels] == pytest.approx([0.75, 0.25])
