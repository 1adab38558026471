"""A choice that there is not, or that a model has no use for, is refused with a sentence that names what there is.

The tests check the types of arguments while they run, and would refuse a wrong choice before the code has seen it; so
these are tried in a Python of their own, as a notebook would try them.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHOICES = {  # what a notebook might write → a part of the sentence that it gets
    **{
        f"continue_text(writer, 'the cat', 2, how={how!r})": 'Tokens are chosen "greedy" or "sampled"'
        for how in ("sample", "beam", "Greedy", "", None)
    },
    "continue_text(writer, 'the cat', 1, target='the dog')": "has no decoder to give a target to",
    "append_token(writer, 'the cat', 6, target='the dog')": "has no decoder to give a target to",
    "capture(tiny.family('bert'), 'the cat', target='the dog')": "bert has no decoder to give a target to",
    "capture(tiny.family('llama'), 'the cat', target='the dog')": "llama has no decoder to give a target to",
    "capture(tiny.family('bloom'), 'the cat', target='the dog')": "bloom has no decoder to give a target to",
    "load_model('minilm', dtype='float8')": "one of float32, bfloat16, float16, stored; got 'float8'",
    "load_model('minilm', dtype='int8')": "one of float32, bfloat16, float16, stored; got 'int8'",
    "load_model('minilm', device='gpu')": 'A device is "cpu", "cuda"',
    "capture(reader, ['the cat', 'a dog'])": "text is one string; got a list of 2. For several: capture_batch(model",
    "capture(reader, None)": "text is a string; got None",
    "capture(reader, reader.tokenizer('the cat'))": "got a BatchEncoding, which a tokenizer made",
    "capture(reader, [5, 6])": "got numbers. Of tokens of the vocabulary: capture_ids(model, ids)",
    "capture(reader, torch.tensor([5]))": "got numbers. Of tokens of the vocabulary: capture_ids(model, ids)",
    "capture(reader, b'the cat')": "text is a string; got a bytes",
    "capture(reader, 'the cat', ['a'])": "pair is one string; got a list of 1",
    "capture(reader.model, 'the cat')": "got a LlamaModel. For a model in memory: wrap_model(model, tokenizer)",
    "capture_ids(reader, [5, 99])": "ids of llama must be 0 … 19; got 99 at place 1",
    "capture_ids(reader, [5, -100])": "ids of llama must be 0 … 19; got -100 at place 1",
    "capture_ids(reader, [[5, 6], [7, 8]])": "ids are one row of numbers; got 2 rows. For several: capture_batch",
    "capture_ids(reader, 'the cat')": "ids are whole numbers of the vocabulary; got 'the cat'",
    "capture_batch(reader, 'the cat')": "texts are several",
    "capture_batch(reader, reader.tokenizer(['the cat']))": "got a tokenizer's batch, in which padding may stand",
    "capture_batch(reader, ['the cat', ''], progress=False)": "Text 1 of 2 (from 0): The model's tokenizer makes no",
    "capture_batch(reader, ['the cat'], targets=['a', 'b'])": "targets are one for each text; got 2 for 1 texts",
    "capture_generation(reader, ['the cat'])": "text is one string; got a list of 1",
    "Survey(reader, 'the cat')": "a survey reads a list of texts",
    "trace.weights(0.5, 0)": "a layer is a whole number; got 0.5",
    "trace.weights(0, 'median')": 'head must be 0 … 2 in layer 0, "mean" or "max"; got \'median\'',
    "load_model('storyteller', dtype=None)": "one of float32, bfloat16, float16, stored; got None",
    "load_model(None)": "takes a name or a folder; got None",
    "load_model('./minilm')": 'Is it "minilm"',
    "load_model('minlm')": 'Is it "minilm" (MiniLM (all-MiniLM-L6-v2))',
    "load_model('bert-bsae', allow_hub=True)": 'Is it "bert-base"',
    "trace.picture(0, 'median')._repr_html_()": '"mean" or "max"',
    "trace.picture('all:encoder:self', 'median')._repr_html_()": "no picture 'all:encoder:self', 'median'",
    "trace.picture('all:encoder:cross', 'mean')._repr_html_()": "no picture",
    "weights_of(trace, Reading(), 'all:encoder:self', 'sum')": "no picture",
    "line_pack(trace, Reading(), 0, 0, 'column', 1)": '"query" or of a "key"',
    "over_heads(trace.layers[0].all_weights(), 'median')": '"mean" or "max"',
    "rollout_of(trace.layers, 1, 'median')": '"mean" or "max"',
    "combined_weights(trace.layers, 'sum')": '"mean" or "max"',
    "trace.ledger(0, 0, 1).step('softmaxed')": "the steps are",
    "display('##ing', style='word-piece')": "one of byte-level, sentencepiece, wordpiece, plain",
    "words_of(['a'], [False], 'bpe')": "one of byte-level, sentencepiece, wordpiece, plain",
    "python_source(lab, 'jax')": "numpy or torch",
    "replace(lab, switches=replace(lab.switches, softmax='hard'))": "softmax must be one of",
    "replace(lab, switches=replace(lab.switches, positions='alibis'))": "positions must be one of",
    "RunSettings(task='sorted')": "one of",
    "RunSettings(positions='alibi')": "learned, rotary, none",
}

TRY = """
import json, sys
from dataclasses import replace
import torch
from attention_core import (
    Survey, capture, capture_batch, capture_generation, capture_ids, continue_text, load_model
)
from attention_core.reading.flow import combined_weights, rollout_of
from attention_core.reading.generation import append_token
from attention_core.grow.tasks import RunSettings
from attention_core.lab.code import python_source
from attention_core.lab.presets import PRESETS
from attention_core.pictures.head import line_pack, weights_of
from attention_core.reading.reading import Reading, over_heads
from attention_core.text.tokens import display, words_of
from tests.support import tiny
from tests.core.reading.test_readout import speaking

trace, writer, reader = capture(tiny.family("bert"), tiny.SENTENCE), speaking("gpt2"), tiny.family("llama")
lab = next(iter(PRESETS.values())).state
said = {}
for code in json.loads(sys.argv[1]):
    try:
        said[code] = f"nothing: it gave {eval(code)!r:.80}"
    except ValueError as error:
        said[code] = str(error)
print("said", json.dumps(said))
"""


@pytest.fixture(scope="module")
def said():
    run = [sys.executable, "-W", "ignore", "-c", TRY, json.dumps(list(CHOICES))]
    done = subprocess.run(run, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.split("said ")[-1])


@pytest.mark.parametrize("code", CHOICES)
def test_a_choice_that_there_is_not_is_refused_by_name(said, code):
    assert CHOICES[code] in said[code]
