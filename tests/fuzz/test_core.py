"""Texts, links, trace files and model folders, given to the core."""

import base64
import json
import shutil
import tempfile
import unicodedata
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import strategies as st
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors

from attention_core import ModelError, Trace, capture, load_model, load_trace
from attention_core.capturing.encode import count_tokens
from attention_core.lab.link import from_link, to_link
from attention_core.record.file import FORMAT, TraceFileError, trace_bytes
from pages.shared.address.view import View, clamp, from_params, link, to_params
from tests.fuzz import made_up
from tests.fuzz.budget import fuzz
from tests.support import tiny
from tests.support.lab_states import random_state


@cache
def models() -> dict[str, Any]:
    return {name: tiny.family(name) for name in ("bert", "gpt2", "bart")}


@fuzz(st.tuples(st.sampled_from(["bert", "gpt2", "bart"]), made_up.texts, made_up.texts, made_up.texts), 12)
def test_any_text_makes_a_trace_or_a_sentence(made):
    name, text, pair, target = made
    model = models()[name]
    try:
        trace = capture(model, text, pair or None if name == "bert" else None, target or None)
    except ValueError as error:
        assert str(error).endswith((".", ")"))
        return
    shown = "".join(token.text for token in trace.source_tokens + trace.target_tokens)
    assert not [character for character in shown if unicodedata.category(character) in ("Cc", "Cs")]
    assert count_tokens(model, text).n_tokens > 0


@fuzz(made_up.parameters, 300)
def test_any_link_opens(params):
    view, sentences = from_params(params)
    assert all(sentence.endswith(".") for sentence in sentences)
    again, _ = from_params(to_params(view))
    assert again == view
    made = link(view)
    assert made is None or (len(made) <= 4_097 and made.isascii())
    fitted, _ = clamp(view, [(3, 5, 7), (2, 5, 7)], {"all:encoder:self": (5, 7)})
    assert isinstance(fitted, View)
    if isinstance(fitted.layer, int):
        assert 0 <= fitted.layer < 2


def _packed_link(data: bytes) -> str:
    return base64.urlsafe_b64encode(zlib.compress(data)).decode().rstrip("=")


def _lab_header(data: bytes) -> tuple[Any, bytes]:
    size = int.from_bytes(data[:3], "little")
    return json.loads(data[3 : 3 + size]), data[3 + size :]


def _with_header(header: Any, cells: bytes) -> str:
    raw = made_up.dumped(header)
    return _packed_link(len(raw).to_bytes(3, "little") + raw + cells)


LAB_LINK = to_link(random_state())
LAB_DATA = zlib.decompressobj().decompress(base64.urlsafe_b64decode(LAB_LINK + "=" * (-len(LAB_LINK) % 4)))
LAB_HEADER, LAB_CELLS = _lab_header(LAB_DATA)
LAB_LINKS = st.one_of(
    made_up.texts,
    made_up.changed_bytes(LAB_LINK.encode()).map(lambda link: link.decode("latin-1")),
    made_up.changed_bytes(LAB_DATA).map(_packed_link),
    made_up.changed_json(LAB_HEADER).map(lambda header: _with_header(header, LAB_CELLS)),
)


@fuzz(LAB_LINKS, 200)
def test_any_lab_link_opens_or_gets_a_sentence(made):
    try:
        state = from_link(made)
    except ValueError as error:
        assert str(error).startswith("This link to the Lab ")
        assert str(error).endswith(".")
        return
    assert from_link(to_link(state)) == state


@cache
def trace_file(name: str = "mistral") -> bytes:
    target = "the dog" if name == "bart" else None
    return trace_bytes(capture(tiny.family(name), tiny.SENTENCE, target=target), projections=True)


@cache
def trace_header(name: str) -> Any:
    file = trace_file(name)
    size = int.from_bytes(file[:8], "little")
    return json.loads(json.loads(file[8 : 8 + size])["__metadata__"][FORMAT])


def described(name: str, header: Any) -> bytes:
    told = {"format": FORMAT, FORMAT: json.dumps(header)}
    return dump_tensors(load_tensors(trace_file(name)), told)


def other_numbers(made: tuple[str, int, float]) -> bytes:
    """A trace whose tensors hold one number that no model makes."""
    name, which, number = made
    tensors = load_tensors(trace_file(name))
    tensor = list(tensors.values())[which % len(tensors)]
    if tensor.dtype.is_floating_point:
        # Through float64: a number too large for the tensor becomes infinite, which is what a stranger would store.
        tensor.view(-1)[:: which % 5 + 1] = torch.tensor(float(number), dtype=torch.float64).to(tensor.dtype)
    return dump_tensors(tensors, {"format": FORMAT, FORMAT: json.dumps(trace_header(name))})


NAMES = st.sampled_from(["mistral", "bart", "bloom", "gpt-oss"])
FILES = st.one_of(
    NAMES.flatmap(lambda name: made_up.changed_json(trace_header(name)).map(lambda header: described(name, header))),
    NAMES.flatmap(lambda name: made_up.changed_bytes(trace_file(name))),
    st.tuples(NAMES, st.integers(0, 100), made_up.numbers.filter(lambda n: abs(n) < 1e300 or n != n)).map(
        other_numbers
    ),
    st.binary(max_size=200),
)


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")  # a file that fails is long
@fuzz(FILES, 20)
def test_any_trace_file_opens_or_gets_a_sentence(file):
    try:
        trace = load_trace(file)
    except TraceFileError as error:
        assert str(error).endswith(".")
        return
    look_at_everything(trace)


def look_at_everything(trace: Trace) -> None:
    """What the pages and the downloads make of a trace; a ValueError is a sentence on the page."""
    from attention_core.ledger.packs import ledger_pack
    from attention_core.pictures import files, head
    from attention_core.pictures.overview import overview
    from attention_core.reading.reading import Reading

    layer, makers = len(trace.layers) - 1, []
    for reading in (Reading(), Reading(hide_first=True, renormalise=True, words=True)):
        makers += [
            lambda reading=reading: overview(trace, reading),
            lambda reading=reading: head.head_pack(trace, reading, layer, 0),
            lambda reading=reading: head.head_pack(trace, reading, layer, "mean"),
            lambda reading=reading: head.tile_pack(trace, reading, layer, 0, 0, 0),
            lambda reading=reading: files.svg(trace, reading, layer, 0).encode(),
            lambda reading=reading: "".join(files.csv(trace, reading, layer, "max")).encode(),
            lambda reading=reading: files.npz(trace, reading, layer, 0),
        ]
    for make in (*makers, lambda: trace.proof(layer, 0), lambda: ledger_pack(trace, layer, 0, 0)):
        try:
            make()
        except ValueError as error:
            assert str(error)


@cache
def model_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="sightline-fuzz-")) / "tiny-bert"
    tiny.bare("bert").save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return folder


def _parts_of_a_folder() -> st.SearchStrategy[tuple[str, bytes]]:
    folder = model_folder()
    settings = [file.name for file in folder.glob("*.json")]
    weights = (folder / "model.safetensors").read_bytes()
    size = int.from_bytes(weights[:8], "little")

    def with_header(header: Any) -> bytes:
        raw = made_up.dumped(header)
        return len(raw).to_bytes(8, "little") + raw + weights[8 + size :]

    return st.one_of(
        st.sampled_from(settings).flatmap(
            lambda name: made_up.changed_json(json.loads((folder / name).read_text())).map(
                lambda value: (name, made_up.dumped(value))
            )
        ),
        st.sampled_from(settings).flatmap(
            lambda name: made_up.changed_bytes((folder / name).read_bytes()).map(lambda data: (name, data))
        ),
        made_up.changed_bytes(weights).map(lambda data: ("model.safetensors", data)),
        made_up.changed_json(json.loads(weights[8 : 8 + size])).map(
            lambda header: ("model.safetensors", with_header(header))
        ),
        st.tuples(
            st.sampled_from(["generation_config.json", "special_tokens_map.json", "1_Pooling/config.json"]),
            made_up.values.map(made_up.dumped),
        ),
    )


@fuzz(st.deferred(_parts_of_a_folder), 40)
def test_any_model_folder_loads_or_gets_a_sentence(part):
    name, data = part
    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(model_folder(), Path(place) / "tiny-bert"))
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
        try:
            model = load_model(str(folder))
        except ModelError as error:
            assert str(error)
            assert place not in str(error)
            return
    try:
        trace = capture(model, "the cat sat on a mat")
    except ValueError as error:
        assert str(error)
        return
    assert torch.isfinite(trace.weights(0, 0)).all() or trace.layers
