"""What a saved model says, against the class that its config.json names under `architectures`, run by itself.

Every class that transformers' lists by task have for an architecture is built, saved, opened as a folder and captured;
`trace.readout()` is compared with what that class gives for the tokenizer's own tokens.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers.models.auto import modeling_auto as auto

from attention_core import capture, load_model
from attention_core.models.loading import ModelError
from tests.commands.matrix.shrinking import tiny_config
from tests.support import tiny

SECOND, CHOICES, DECODER = "a dog ran far away", "a dog ran\nthe cat slept", "the dog slept"
MASKED = tiny.SENTENCE.replace("mat", "[MASK]", 1)
CLOSE = 1e-4  # of logits and probabilities: two runs of one model, eager and through the capture

# Task → transformers' list, and what is read: text, second sentence, decoder's text.
TASKS: dict[str, tuple[str, tuple[str, str | None, str | None]]] = {
    "next token": ("CAUSAL_LM", (tiny.SENTENCE, None, None)),
    "next token of decoder": ("SEQ_TO_SEQ_CAUSAL_LM", (tiny.SENTENCE, None, DECODER)),
    "masked token": ("MASKED_LM", (MASKED, None, None)),
    "labels": ("SEQUENCE_CLASSIFICATION", (tiny.SENTENCE, None, None)),
    "tags": ("TOKEN_CLASSIFICATION", (tiny.SENTENCE, None, None)),
    "answer": ("QUESTION_ANSWERING", (tiny.SENTENCE, SECOND, None)),
    "choices": ("MULTIPLE_CHOICE", (tiny.SENTENCE, CHOICES, None)),
    "next sentence": ("NEXT_SENTENCE_PREDICTION", (tiny.SENTENCE, SECOND, None)),
}


@dataclass(frozen=True, eq=False)
class Own:
    """The class that was named, and what it gives by itself."""

    model: Any
    tokenizer: Any
    text: str
    pair: str | None
    target_ids: list[int]

    @cached_property
    def outputs(self) -> Any:
        return self.of(self.pair)

    def of(self, pair: str | None, **shape: Any) -> Any:
        accepted = inspect.signature(self.model.forward).parameters
        encoded = self.tokenizer(self.text, pair)
        inputs = {name: torch.tensor([ids]) for name, ids in encoded.items() if name in accepted}
        if self.target_ids:
            inputs["decoder_input_ids"] = torch.tensor([self.target_ids])
        if shape.get("of_choice"):
            inputs = {name: ids[:, None] for name, ids in inputs.items()}
        options = {"use_cache": False} if "use_cache" in accepted else {}  # with one, FSMT reads the last token alone
        with torch.inference_mode():
            return self.model(**inputs, **options)

    def row(self, name: str = "logits") -> Tensor:
        return self.outputs[name][0].float()


def _same(ours: Tensor, theirs: Tensor) -> bool:
    if ours.shape != theirs.shape:
        return False
    return bool(((ours.double() - theirs.double()).abs() <= CLOSE * theirs.abs().max().clamp_min(1.0)).all())


def _choices(choices: Any, logits: Tensor) -> bool:
    """Likeliest first, with their probabilities over the whole vocabulary."""
    probabilities = logits.double().softmax(dim=0)
    ours = torch.tensor([choice.probability for choice in choices], dtype=torch.double)
    of_ids = probabilities[[choice.id for choice in choices]]
    return _same(ours, of_ids) and _same(ours, probabilities.topk(len(choices)).values)


def _labels(readout: Any, logits: Tensor) -> bool:
    first = readout.labels[0]
    best = logits.argmax() if len(logits) > 1 else torch.tensor(0)
    return _same(readout.logits, logits) and abs(first.logit - float(logits[best])) <= CLOSE * max(1, abs(first.logit))


def _of_choices(readout: Any, own: Own) -> bool:
    lines = (own.pair or "").split("\n")
    return _same(readout.logits, torch.cat([own.of(line, of_choice=True).logits.reshape(1).float() for line in lines]))


def _answer(readout: Any, own: Own) -> bool:
    theirs = torch.stack((own.row("start_logits"), own.row("end_logits")))
    begins, ends = theirs.double().softmax(dim=1)
    best = readout.spans[0]
    return (
        _same(readout.logits, theirs) and abs(best.probability - float(begins[best.first] * ends[best.last])) <= CLOSE
    )


# Kind of readout, by its class's name → does it say what the class gives? Another kind is one line.
AGREES: dict[str, Callable[[Any, Own], bool]] = {
    "NextToken": lambda readout, own: _choices(readout.choices, own.row()[-1]),
    "MaskedTokens": lambda readout, own: all(
        _choices(fill.choices, own.row()[fill.position]) for fill in readout.fills
    ),
    "Labels": lambda readout, own: _labels(readout, own.row()),
    "Tags": lambda readout, own: _same(readout.logits, own.row()),
    "Answer": _answer,
    "Choices": _of_choices,
}


def readouts(model_type: str, build: Callable[[Any, Any], Any]) -> str:
    """ "next token ✓, labels: no readout"; with ✗ where they differ. Empty without a class that has a head.

    `build` makes a model of a class and a configuration.
    """
    said, seen = [], set()
    for task, (listed, reads) in TASKS.items():
        name = getattr(auto, f"MODEL_FOR_{listed}_MAPPING_NAMES").get(model_type)
        name = name if isinstance(name, str) or name is None else name[0]
        if name is None or name in seen:
            continue
        seen.add(name)
        said.append(f"{task}{_one(getattr(transformers, name), model_type, reads, build)}")
    return ", ".join(said)


def _one(cls: Any, model_type: str, reads: tuple[str, str | None, str | None], build: Callable[[Any, Any], Any]) -> str:
    text, pair, target = reads
    try:
        config = tiny_config(model_type)
        _finish(config)
        whole = build(cls, config)
    except Exception as error:
        return f": cannot be built tiny ({type(error).__name__})"
    with TemporaryDirectory() as folder:
        whole.save_pretrained(folder)
        tiny.tokenizer().save_pretrained(folder)  # of some architectures transformers opens it as another class
        try:
            model = load_model(folder)
            trace = capture(model, text, pair, target if model.facts.encoder_decoder else None)
            readout = trace.readout()
            own_model = cls.from_pretrained(folder, attn_implementation="eager")  # some tables are made, not saved
        except ModelError as error:
            return f": refused ({_short(error, folder)})"
        except Exception as error:
            return f" ✗ {type(error).__name__}: {_short(error, folder)}"
    kind = type(readout).__name__
    if kind not in AGREES:
        return ": no readout"
    own = Own(
        own_model.eval(), model.tokenizer, text, pair, [token.id for token in trace.target_tokens] if target else []
    )
    try:
        agrees = AGREES[kind](readout, own)
    except Exception as error:
        return f" ✗ {type(error).__name__}: {_short(error, folder)}"
    return " ✓" if agrees else f" ✗ {kind} says something else than {cls.__name__}"


def _finish(config: Any) -> None:
    """What a checkpoint names and a default configuration may not: the tokens of the tiny tokenizer."""
    config.eos_token_id, config.pad_token_id = 3, 0
    if getattr(config, "is_encoder_decoder", False):
        config.decoder_start_token_id = 2


def _short(error: Exception, folder: str) -> str:
    text = " ".join(str(error).replace(folder, "it").replace(Path(folder).name, "it").split())
    return text[:60].replace(",", ";")
