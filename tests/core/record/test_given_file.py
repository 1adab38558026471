"""Matrices as files: to the bit in all three kinds, saved again as a trace; hostile ones get a sentence."""

import io
import json
import re
import tracemalloc
import zipfile
from pathlib import Path
from time import thread_time

import numpy as np
import pytest
import torch
from safetensors.torch import save as save_tensors

from attention_core import load_trace, save_trace, trace_from_attention
from attention_core.record.file import TraceFileError, trace_bytes
from tests.core.record.test_given import PIECES, TARGET_PIECES, recorded, with_inputs

DOCS = Path(__file__).resolve().parents[3] / "docs" / "own-matrices.md"
SOON = 5.0  # seconds of this thread's computing: none of these files may stand for more work


def npz(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def by_name(name: str) -> tuple[dict[str, np.ndarray], dict[str, list[str]]]:
    """A family's recorded attentions and tokens by the names that a file has for them."""
    found = recorded(name)
    if name != "bart":
        return {"attention": torch.cat(found.attentions).numpy()}, {"tokens": PIECES}
    stacks = {side: torch.cat(getattr(found, f"{side}_attentions")).numpy() for side in ("encoder", "decoder", "cross")}
    tokens = {"encoder_tokens": PIECES, "decoder_tokens": TARGET_PIECES}
    return {f"{side}_attention": stack for side, stack in stacks.items()}, tokens


def files_of(arrays, tokens, dtype: str) -> dict[str, bytes]:
    arrays = {name: array.astype(dtype) for name, array in arrays.items()}
    return {
        "npz": npz(**arrays, **{name: np.array(texts) for name, texts in tokens.items()}),
        "safetensors": save_tensors(
            {name: torch.from_numpy(array) for name, array in arrays.items()},
            {name: json.dumps(texts) for name, texts in tokens.items()},
        ),
        "json": json.dumps(
            {**{name: array.tolist() for name, array in arrays.items()}, **tokens, "dtype": dtype}
        ).encode(),
    }


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", ["gpt2", "bert", "bart"])
def test_every_kind_of_file_gives_the_matrices_back_to_the_bit(name, dtype, tmp_path):
    arrays, tokens = by_name(name)
    expected = [layer for array in arrays.values() for layer in array.astype(dtype)]
    for ending, data in files_of(arrays, tokens, dtype).items():
        trace = load_trace(data)
        assert trace.given and trace.opened
        file = tmp_path / f"mine.{ending}"
        file.write_bytes(data)
        save_trace(trace, tmp_path / "again.safetensors")
        for opened in (trace, load_trace(file), load_trace(tmp_path / "again.safetensors")):
            assert len(opened.layers) == len(expected)
            for layer, given in zip(opened.layers, expected, strict=True):
                assert layer.given.numpy().dtype == given.dtype
                assert np.array_equal(layer.given.numpy(), given)
            assert opened.verdict().sentence == "cannot be checked: weights only, given by you"
            assert opened.tokens == trace.tokens and opened.target_tokens == trace.target_tokens


def test_layers_that_differ_in_their_heads_stand_apart():
    layers = [np.full((n, 2, 2), 0.5) for n in (3, 1)]
    as_json = {"attention_1": layers[1].tolist(), "attention_0": layers[0].tolist(), "tokens": ["a", "b"]}
    for data in (
        npz(attention_1=layers[1], attention_0=layers[0], tokens=np.array(["a", "b"])),
        json.dumps(as_json).encode("utf-8-sig"),  # with the mark that some editors put before a text
        json.dumps({"attention": [layer.tolist() for layer in layers], "tokens": ["a", "b"]}).encode(),
    ):
        assert [layer.n_heads for layer in load_trace(data).layers] == [3, 1]


def test_texts_and_switches_are_read_from_every_kind():
    uneven = np.full((1, 1, 2, 2), 0.25, dtype=np.float32)
    told = {"text": "a <b>", "name": "Mine"}
    for data in (
        npz(attention=uneven, tokens=np.array(["a", "b"]), sums_to_one=np.array(False), **told),
        save_tensors({"attention": torch.from_numpy(uneven)}, {"tokens": '["a", "b"]', "sums_to_one": "false", **told}),
        json.dumps({"attention": uneven.tolist(), "tokens": ["a", "b"], "sums_to_one": False, **told}).encode(),
    ):
        trace = load_trace(data)
        assert (trace.text, trace.facts.name, trace.sums_to_one) == ("a <b>", "Mine", False)
        again = load_trace(trace_bytes(trace))
        assert again.checks == ("range",) and not again.sums_to_one


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_q_k_and_v_travel_along_and_the_whole_proof_with_them(dtype):
    trace, weights = with_inputs(dtype=dtype)
    again = load_trace(trace_bytes(trace))
    assert again.checks == trace.checks == ("mask", "weights")
    assert again.proof(1, 2) == trace.proof(1, 2)
    assert torch.equal(again.weights(1, 2), weights[1, 2].float())
    inputs = {name: torch.stack([getattr(layer, name) for layer in trace.layers]).numpy() for name in "qkv"}
    opened = load_trace(npz(attention=weights.numpy(), tokens=np.array(list("abcde")), **inputs))
    assert opened.checks == ("mask", "weights") and opened.proof(0, 1) == trace.proof(0, 1)


def test_the_example_of_the_docs_runs_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) == 2
    told: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(DOCS), "exec"), told)  # noqa: S102
    assert {path.suffix for path in tmp_path.iterdir()} == {".npz", ".safetensors", ".json"}


def test_what_the_docs_say_of_bounds_and_names_is_what_the_reader_has():
    from attention_core.record import given_file

    text = DOCS.read_text(encoding="utf-8")
    assert f"{given_file.MOST_BYTES // 1_000_000} MB of arrays" in text
    assert f"{given_file.MOST_JSON_BYTES // 1_000_000} MB of JSON" in text
    assert f"{given_file.MOST_TOKENS:,} tokens" in text
    assert all(f"`{name}`" in text for name in given_file.NAMES)


# --- hostile files --------------------------------------------------------------------------------------------------

EVEN = np.full((1, 2, 3, 3), 1 / 3)
THREE = np.array(["a", "b", "c"])


def zipped(*members: tuple[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return file.getvalue()


def npy(header: str, data: bytes = b"") -> bytes:
    encoded = header.encode("latin1") + b"\n"
    return b"\x93NUMPY\x01\x00" + len(encoded).to_bytes(2, "little") + encoded + data


def shaped(shape: str, descr: str = "'<f4'", data: bytes = bytes(64)) -> bytes:
    return zipped(("attention.npy", npy(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}", data)))


def as_json(**named) -> bytes:
    return json.dumps({"attention": EVEN.tolist(), "tokens": ["a", "b", "c"], **named}).encode()


HOSTILE = {
    "a zip bomb": (lambda: zipped(("attention.npy", bytes(300_000_000))), "300 MB unpacked"),
    "fifty thousand arrays": (
        lambda: zipped(*((f"{i}.npy", b"") for i in range(50_000)), how=zipfile.ZIP_STORED),
        "more than 4,096 arrays",
    ),
    "a huge shape of little data": (lambda: shaped("(1000000000, 1000000000, 9, 9)"), "damaged"),
    "a shape that wraps to nothing": (lambda: shaped("(4294967296, 4294967296, 1, 1)"), "damaged"),
    "a negative side": (lambda: shaped("(-1, 2, 3, 3)"), "damaged"),
    "a thousand sides": (lambda: shaped(f"({'1, ' * 1_000})"), "neither numbers nor texts|damaged"),
    "a header nested deep": (lambda: zipped(("attention.npy", npy("(" * 9_000))), "damaged|memory"),
    "a header of 60 kB": (lambda: zipped(("attention.npy", npy("{" + " " * 60_000 + "}"))), "damaged"),
    "code for a header": (lambda: zipped(("attention.npy", npy("__import__('os').abort()"))), "damaged"),
    "a pickle": (
        lambda: npz(attention=EVEN, tokens=np.array(["a", None, "c"], dtype=object)),
        "Python objects, which are not read",
    ),
    "records for numbers": (lambda: shaped("(2,)", "[('a', '<f4'), ('b', '<f4')]", bytes(16)), "neither numbers nor"),
    "texts of no width": (lambda: shaped("(1000000000,)", "'<U0'", b""), "damaged"),
    "a million tokens": (lambda: npz(attention=EVEN, tokens=np.full(1_000_000, "a")), "1,000,000 texts"),
    "a token of a million characters": (
        lambda: npz(attention=EVEN, tokens=np.array(["a" * 10**6])),
        "1,000,000 charac",
    ),
    "an archive that ends early": (lambda: npz(attention=EVEN, tokens=THREE)[:-100], "damaged"),
    "bytes that are not what was packed": (
        lambda: (
            (whole := npz(attention=np.random.default_rng(1).random((1, 2, 30, 30)), tokens=THREE))[:200]
            + bytes(900)
            + whole[1_100:]
        ),
        "damaged",
    ),
    "packed in another way": (lambda: zipped(("attention.npy", bytes(99)), how=zipfile.ZIP_LZMA), "NumPy does not use"),
    "a name that is none": (lambda: npz(attention=EVEN, tokens=THREE, attentoin=EVEN), "“attentoin”, which is none of"),
    "a download of one head": (
        lambda: npz(weights=EVEN[0, 0], query=THREE, key=THREE),
        "“weights”, which is none of attention",
    ),
    "layers with a gap": (lambda: npz(attention_0=EVEN[0], attention_2=EVEN[0], tokens=THREE), "without a gap"),
    "the same layer twice": (
        lambda: npz(attention_0=EVEN[0], attention_00=EVEN[0], tokens=THREE),
        "“attention_00”, which is none of",
    ),
    "a list for JSON": (lambda: b"[1, 2, 3]", "no object with attention and tokens"),
    "a dtype that is a list": (lambda: as_json(dtype=["float32"]), "dtype in the file must be one of"),
    "a layer's number of 100 digits": (lambda: npz(**{f"attention_{10**100}": EVEN[0], "tokens": THREE}), "none of"),
    "2,000 layers": (lambda: npz(attention=np.ones((2_000, 1, 1, 1)), tokens=THREE[:1]), "2,000 layers; at most 1,024"),
    "2,000 heads": (lambda: npz(attention=np.ones((1, 2_000, 1, 1)), tokens=THREE[:1]), "2,000 heads; at most 1,024"),
    "a value as wide as memory": (
        lambda: npz(
            attention=np.ones((1, 1_000, 1, 1)),
            tokens=THREE[:1],
            q=np.ones((1, 1_000, 1, 1)),
            k=np.ones((1, 1, 1, 1)),
            v=np.ones((1, 1, 1, 1_000_000)),
        ),
        "at most 32 times",
    ),
    "a scale that is infinite": (
        lambda: npz(attention=EVEN, tokens=THREE, scale=np.inf, **dict.fromkeys("qkv", np.ones((1, 2, 3, 5)))),
        "scale in the file",
    ),
    "JSON nested deep": (lambda: b'{"attention":' + b"[" * 1_000_000, "no JSON that can be read"),
    "JSON of brackets": (lambda: b'{"attention":[' + b"[]," * 3_000_000 + b"[]]}", "no JSON that can be read"),
    "JSON of 21 MB": (lambda: b'{"text":"' + b"a" * 21_000_000 + b'"}', "21 MB of JSON"),
    "JSON cut short": (lambda: as_json()[:-5], "no JSON that can be read"),
    "JSON of texts among numbers": (
        lambda: as_json(attention=[[[["a" * 100_000, *[1] * 50_000]]]]),
        "must hold numbers alone",
    ),
    "JSON of nulls": (lambda: as_json(attention=[[[[None] * 3] * 3]]), "is no number"),
    "JSON that is uneven": (lambda: as_json(attention=[[[[1.0], [0.5, 0.5]]]]), "as many rows and every row"),
    "a number of 5,000 digits": (
        lambda: as_json(scale=1).replace(b'"scale": 1', b'"scale": ' + b"9" * 5_000),
        "no JSON",
    ),
    "a number of 400 digits": (lambda: as_json(attention=[[[[10**400]]]]), "must hold numbers alone"),
    "numbers for names": (lambda: as_json(name=3), "name in the file must be a text"),
    "a lone surrogate for a name": (lambda: as_json(name="\ud800"), "half a character"),
    "a lone surrogate for a token": (lambda: as_json(tokens=["a", "\udfff", "c"]), "half a character"),
    "tokens that are none": (lambda: as_json(tokens=7), "tokens must be a list"),
    "tokens that are objects": (lambda: as_json(tokens=[{}, [], 1]), "must be a text"),
    "a dtype that is none": (lambda: as_json(dtype="object"), "dtype in the file must be one of"),
    "a name of a million characters": (lambda: as_json(name="a" * 10**6), "1,000,000 characters; at most 200"),
    "metadata that are no JSON": (
        lambda: save_tensors({"attention": torch.from_numpy(EVEN)}, {"tokens": "a b c"}),
        "must be JSON",
    ),
    "metadata nested deep": (
        lambda: save_tensors({"attention": torch.from_numpy(EVEN)}, {"tokens": "[" * 100_000}),
        "changed|must be JSON",
    ),
    "a tensor that is not stored": (
        lambda: save_tensors({"attention": torch.from_numpy(EVEN)}, {"tokens": '["a"]'})[:-50],
        "damaged",
    ),
    "whole numbers for weights": (
        lambda: save_tensors({"attention": torch.ones(1, 1, 1, 1, dtype=torch.int64)}, {"tokens": '["a"]'}),
        "holds int64",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_gets_a_sentence_soon_and_takes_little_memory(name):
    make, words = HOSTILE[name]
    data = make()
    tracemalloc.start()
    begun = thread_time()
    try:
        with pytest.raises(TraceFileError) as caught:
            load_trace(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert thread_time() - begun < SOON
    assert peak < 10 * len(data) + 50_000_000  # Python's and NumPy's own
    assert re.search(words, str(caught.value)), str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_saved_trace_that_claims_weights_beside_q_which_do_not_fit_is_refused():
    trace, _ = with_inputs()
    layer = trace.layers[0]
    file = trace_bytes(trace)
    assert load_trace(file).layers[0].given.shape == layer.given.shape
    smaller = file.replace(b"[3,5,5]", b"[1,15,5]", 1)
    with pytest.raises(TraceFileError):
        load_trace(smaller)


def test_a_mistake_is_found_before_the_page_draws():
    """Weights of 0.6 for three keys: the sentence says which row, as in Python."""
    with pytest.raises(TraceFileError, match="layer 0, head 0, query 0 sums to 1.8"):
        load_trace(npz(attention=np.full((1, 1, 3, 3), 0.6), tokens=THREE))
    with pytest.raises(ValueError, match="layer 0, head 0, query 0 sums to 1.8"):
        trace_from_attention(np.full((1, 1, 3, 3), 0.6), ["a", "b", "c"])
