"""Trace files and model folders that were made to hurt: each gets a sentence, soon, and takes no memory with it."""

import json
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from time import thread_time

import pytest
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors

from attention_core import ModelError, capture, load_model, load_trace
from attention_core.record.file import FORMAT, TraceFileError, trace_bytes
from tests.support import tiny

SOON = 5.0  # seconds of this thread's own time


@pytest.fixture(scope="module")
def file() -> bytes:
    """A good trace file, to damage."""
    return trace_bytes(capture(tiny.family("mistral"), tiny.SENTENCE))


def header_of(file: bytes) -> dict:
    size = int.from_bytes(file[:8], "little")
    return json.loads(json.loads(file[8 : 8 + size])["__metadata__"][FORMAT])


def with_header(file: bytes, header: object, tensors: dict | None = None) -> bytes:
    """The file with another description of its trace."""
    told = header if isinstance(header, str) else json.dumps(header)
    return dump_tensors(load_tensors(file) if tensors is None else tensors, {"format": FORMAT, FORMAT: told})


def with_layer(file: bytes, **values: object) -> bytes:
    header = header_of(file)
    header["layers"][0].update(values)
    return with_header(file, header)


def with_token(file: bytes, **values: object) -> bytes:
    header = header_of(file)
    header["source_tokens"][1].update(values)
    return with_header(file, header)


def with_facts(file: bytes, **values: object) -> bytes:
    header = header_of(file)
    header["facts"].update(values)
    return with_header(file, header)


def raw_file(header: bytes, data: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header + data


def outer_of(file: bytes) -> dict:
    return json.loads(file[8 : 8 + int.from_bytes(file[:8], "little")])


def with_outer(file: bytes, change: Callable[[dict], object]) -> bytes:
    """The file with another safetensors header and the same data."""
    size = int.from_bytes(file[:8], "little")
    outer = outer_of(file)
    change(outer)
    return raw_file(json.dumps(outer).encode(), file[8 + size :])


def one_layer_of_wide_work(file: bytes) -> bytes:
    """1,000 heads of width 1 over 4,000 tokens: a file of 17 MB, 16 billion cells."""
    header, n = header_of(file), 4_000
    token = header["source_tokens"][1]
    q, k = torch.zeros(1_000, n, 1, dtype=torch.float16), torch.zeros(1, n, 1, dtype=torch.float16)
    names = {"q": "q", "k": "k", "v": "k", "output": "q"}
    layer = {"kind": "encoder self", "index": 0, "tensors": names, "scale": 1.0, "softcap": None, "band": [None, None]}
    return with_header(file, {**header, "source_tokens": [token] * n, "layers": [layer]}, {"q": q, "k": k})


def many_layers_of_the_same_tensors(file: bytes) -> bytes:
    header = header_of(file)
    return with_header(file, {**header, "layers": header["layers"][:1] * 50_000})


def given_of(value: float) -> bytes:
    """A file of a model that shows its weights alone, one of which is this."""
    file = trace_bytes(capture(tiny.family("bloom"), tiny.SENTENCE))
    tensors = load_tensors(file)
    tensors["0.given"][1, 2, 0] = value
    return with_header(file, header_of(file), tensors)


def with_maps(change: Callable[[dict], object]) -> bytes:
    """A file that holds the linear maps around attention, with another description of those of its first layer."""
    file = trace_bytes(capture(tiny.family("mistral"), tiny.SENTENCE), projections=True)
    header = header_of(file)
    change(header["layers"][0]["projections"])
    return with_header(file, header)


def norm_of(bias: str) -> dict:
    return {"name": "norm", "norm": "rms", "eps": 1e-6, "gain": None, "bias": bias}


def zipped_zeros(file: bytes) -> bytes:
    held = BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("trace.safetensors", b"\0" * 50_000_000)
    return held.getvalue()


TRACES: dict[str, Callable[[bytes], bytes]] = {
    "a header that is longer than the file": lambda file: struct.pack("<Q", 2**62) + file[8:],
    "a header of 100 MB": lambda file: raw_file(b" " * 100_000_000),
    "a header of 100 MB that is not there": lambda file: struct.pack("<Q", 100_000_000) + file[8:],
    "an empty header": lambda file: raw_file(b""),
    "a header that is no JSON": lambda file: raw_file(b"\xff" * 100),
    "a header nested deep": lambda file: raw_file(b"[" * 1_000_000),
    "a header of brackets": lambda file: raw_file(b'{"__metadata__":{},"a":[' + b"[]," * 3_000_000 + b"[]]}"),
    "a description nested deep": lambda file: with_header(file, "[" * 1_000_000),
    "a description of brackets": lambda file: with_header(file, '{"version":1,"a":[' + "[]," * 3_000_000 + "[]]}"),
    "overlapping tensors": lambda file: with_outer(file, lambda o: o["0.k"].update(data_offsets=[0, 8])),
    "a tensor beyond the end": lambda file: with_outer(file, lambda o: o["0.k"].update(data_offsets=[0, 10**15])),
    "a huge shape of little data": lambda file: with_outer(
        file, lambda o: o["0.k"].update(shape=[10**9, 10**9, 10**9])
    ),
    "a shape of a million sides": lambda file: with_outer(file, lambda o: o["0.k"].update(shape=[1] * 1_000_000)),
    "a shape with a negative side": lambda file: with_outer(file, lambda o: o["0.k"].update(shape=[-1, 5, 7])),
    "a dtype that is none": lambda file: with_outer(file, lambda o: o["0.k"].update(dtype="PICKLE")),
    "tensors that are not stored": lambda file: with_layer(file, tensors={"q": "../../etc/passwd"}),
    "a pickle": lambda file: pickle.dumps({"a": 1}),
    "a zip bomb": zipped_zeros,
    "fifty thousand layers of the same tensors": many_layers_of_the_same_tensors,
    "a small file of enormous work": one_layer_of_wide_work,
    "a mask of numbers too large": lambda file: with_layer(file, band=[10**30, 0]),
    "a mask that lets a token read nothing": lambda file: with_layer(file, band=[-3, None]),
    "a scale that is infinite": lambda file: with_layer(file, scale=float("inf")),
    "a scale that is infinite in float32": lambda file: with_layer(file, scale=1e300),
    "a soft-cap that is infinite in float32": lambda file: with_layer(file, softcap=1e300),
    "a factor that is infinite in float32": lambda file: with_maps(lambda maps: maps["residual"].update(factor=1e300)),
    "a norm's bias of another width": lambda file: with_maps(
        lambda maps: maps["o"].update(norm=norm_of(maps["q"]["parts"][0]["x"]))
    ),
    "a weight above 1": lambda file: given_of(5.0),
    "a weight below 0": lambda file: given_of(-0.5),
    "a weight that is infinite": lambda file: given_of(float("inf")),
    "a layer's number too large": lambda file: with_layer(file, index=10**30),
    "a lone surrogate in the text": lambda file: with_header(file, {**header_of(file), "text": "\ud800"}),
    "a lone surrogate in a token": lambda file: with_token(file, text="\udfff"),
    "a control character in a token": lambda file: with_token(file, text="a\x00b"),
    "a token's number too large": lambda file: with_token(file, id=10**30),
    "a token that ends before it starts": lambda file: with_token(file, span=[5, 2]),
    "a number of 4,000 digits": lambda file: with_facts(file, n_parameters=10**4_000),
    "a number of 5,000 digits": lambda file: with_header(
        file, json.dumps(header_of(file)).replace('"n_heads": 6', '"n_heads": ' + "9" * 5_000)
    ),
    "a lone surrogate in the model's name": lambda file: with_facts(file, name="\udc80"),
}


@pytest.mark.parametrize("name", TRACES)
def test_a_hostile_trace_file_gets_a_sentence_soon(file, name):
    hostile = TRACES[name](file)
    begun = thread_time()
    with pytest.raises(TraceFileError) as caught:
        load_trace(hostile)
    assert thread_time() - begun < SOON
    assert str(caught.value).endswith(".")


def test_a_weight_that_is_not_a_number_is_opened_and_fails_its_proof():
    (check,) = load_trace(given_of(float("nan"))).proof(0, 1)
    assert not check.holds


# --- model folders --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny-bert"
    tiny.bare("bert").save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "tiny-bert"))


def set_in(file: str, **values: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / file
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


def write(file: str, data: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_bytes(data)

    return change


def link_away(file: str) -> Callable[[Path], None]:
    """The file lies elsewhere, and a link to it stands in its place."""

    def change(folder: Path) -> None:
        (folder / file).rename(folder.parent / "elsewhere")
        (folder / file).symlink_to(folder.parent / "elsewhere")

    return change


def name_shards(*names: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder.parent / "stolen.safetensors")
        index = {"weight_map": {str(i): name for i, name in enumerate(names)}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    return change


def pipe(file: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / file).unlink(missing_ok=True)
        os.mkfifo(folder / file)

    return change


def in_weights(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def rewrite(folder: Path) -> None:
        path = folder / "model.safetensors"
        path.write_bytes(with_outer(path.read_bytes(), change))

    return rewrite


def name_a_vocabulary(folder: Path) -> None:
    """transformers 5 reads the file that the setting `vocab` names, wherever it lies."""
    (folder.parent / "secret").write_text("[UNK]\n[CLS]\n[SEP]\n[PAD]\n[MASK]\nroot:x:0:0\n")
    (folder / "tokenizer.json").unlink()
    settings = {"tokenizer_class": "BertTokenizer", "vocab": str(folder.parent / "secret")}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


WORDS = "embeddings.word_embeddings.weight"
FOLDERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "weights that are a link to elsewhere": (link_away("model.safetensors"), "link to a file outside"),
    "a config that is a link to elsewhere": (link_away("config.json"), "link to a file outside"),
    "a tokenizer that is a link to elsewhere": (link_away("tokenizer.json"), "link to a file outside"),
    "a part of the weights in another folder": (name_shards("../stolen.safetensors"), "names '../stolen.safetensors'"),
    "a part of the weights by its whole path": (name_shards("/etc/x.safetensors"), "names '/etc/x.safetensors'"),
    "a part of the weights that is a number": (name_shards(3), "names '3' as weights"),
    "a pipe for a config": (pipe("config.json"), "not a plain file"),
    "a pipe for a tokenizer": (pipe("tokenizer.json"), "not a plain file"),
    "a pipe for weights": (pipe("model.safetensors"), "not a plain file"),
    "a header of 100 MB": (write("model.safetensors", raw_file(b" " * 100_000_000)), "header of 100 MB"),
    "a header of brackets": (
        write("model.safetensors", raw_file(b'{"a":[' + b"[]," * 3_000_000 + b"[]]}")),
        "header that cannot be read",
    ),
    "a header nested deep": (write("model.safetensors", raw_file(b"[" * 1_000_000)), "header that cannot be read"),
    "a shape of a million sides": (
        in_weights(lambda header: header[WORDS].update(shape=[999_999_999] * 1_000_000)),
        "header that cannot be read",
    ),
    "overlapping tensors": (in_weights(lambda header: header[WORDS].update(data_offsets=[0, 4])), "damaged"),
    "a config of 9 MB": (write("config.json", b'{"a": "' + b"x" * 9_000_000 + b'"}'), "config.json of 9 MB"),
    "a tokenizer of 65 MB": (write("tokenizer.json", b" " * 65_000_000), "tokenizer.json of 65 MB"),
    "a config nested deep": (write("config.json", b'{"a":' + b"[" * 1_000_000), "cannot be read as JSON"),
    "a tokenizer nested deep": (write("tokenizer.json", b"[" * 1_000_000), "nested too deep|could not be loaded"),
    "a tokenizer's settings nested deep": (write("tokenizer_config.json", b"[" * 1_000_000), "cannot be read as JSON"),
    "a billion layers": (set_in("config.json", num_hidden_layers=10**9), "num_hidden_layers = 1,000,000,000"),
    "a billion labels": (set_in("config.json", num_labels=10**9), "num_labels = 1,000,000,000"),
    "a billion places": (set_in("config.json", max_position_embeddings=10**9), "max_position_embeddings"),
    "a billion places, of a table": (
        set_in("config.json", model_type="marian", max_position_embeddings=100_000),
        "max_position_embeddings = 100,000",
    ),
    "a billion groups, deep inside": (
        set_in("config.json", text_config={"text": {"num_hidden_groups": 10**9}}),
        "num_hidden_groups",
    ),
    "a number without an end": (set_in("config.json", hidden_size=float("inf")), "hidden_size = inf"),
    "an attention that is code of the hub": (
        set_in("config.json", _attn_implementation="somebody/kernel"),
        "would fetch code",
    ),
    "an attention of a part that is code": (
        set_in("config.json", text_config={"_attn_implementation": "somebody/kernel@main"}),
        "would fetch code",
    ),
    "a vocabulary that is another file": (name_a_vocabulary, "'vocab' names a file of this machine"),
    "an adapter of another model": (write("adapter_config.json", b"{}"), "holds an adapter"),
    "a second tokenizer without files": (lambda folder: (folder / "target_tokenizer").mkdir(), "no tokenizer"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_hostile_folder_gets_a_sentence_soon(folder, name):
    damage, part = FOLDERS[name]
    damage(folder)
    begun = thread_time()
    with pytest.raises(ModelError, match=part) as caught:
        load_model(str(folder))
    assert thread_time() - begun < SOON
    assert str(folder.parent) not in str(caught.value)  # where it lies is the operator's business


def test_the_hubs_own_links_are_followed(saved, tmp_path):
    """Its cache keeps the files once, in blobs, and links to them from each snapshot."""
    repository = tmp_path / "models--tiny--bert"
    blobs, snapshot = repository / "blobs", repository / "snapshots" / "abc"
    shutil.copytree(saved, blobs)
    snapshot.mkdir(parents=True)
    for file in blobs.iterdir():
        (snapshot / file.name).symlink_to(Path("../../blobs") / file.name)
    assert load_model(str(snapshot)).facts.n_heads == 3


@pytest.mark.parametrize(
    "settings",
    [{"tokenizer_file": "/etc/hostname"}, {"vocab_file": "nowhere.txt"}, {"model_max_length": "many"}],
    ids=str,
)
def test_what_a_tokenizer_notes_about_itself_does_no_harm(folder, settings):
    set_in("tokenizer_config.json", **settings)(folder)
    assert len(capture(load_model(str(folder)), "the cat sat").tokens) == 5


def test_a_broken_note_on_pooling_is_no_note(folder):
    write("1_Pooling/config.json", b"[" * 1_000_000)(folder)
    assert load_model(str(folder)).sentences is None
    listed = [("Transformer", ""), ("Pooling", "1_Pooling")]
    modules = [{"type": f"sentence_transformers.models.{name}", "path": path} for name, path in listed]
    write("modules.json", json.dumps(modules).encode())(folder)
    sentences = load_model(str(folder)).sentences
    assert sentences is not None and "1_Pooling/config.json cannot be read" in sentences.problem


@pytest.mark.parametrize("name", ["~nobody-of-this-name/model", "attention_core", "assets/models", "~", "..", "../.."])
def test_where_folders_are_closed_the_answer_does_not_say_what_is_there(name):
    """The same words for a folder that is there and for one that is not."""
    with pytest.raises(ModelError) as there:
        load_model(name, allow_folders=False, allow_hub=False)
    with pytest.raises(ModelError) as not_there:
        load_model(
            name.replace("attention_core", "attention_cora").replace("assets", "assetz"),
            allow_folders=False,
            allow_hub=False,
        )
    words = str(there.value).replace(name, "…")
    assert words == str(not_there.value).replace("attention_cora", "…").replace("assetz/models", "…").replace(name, "…")


def test_a_home_that_nobody_has_gets_a_sentence():
    with pytest.raises(ModelError, match="There is no folder"):
        load_model("~nobody-of-this-name/model")
