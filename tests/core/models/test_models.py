"""Loading models: cards, folders, what is refused and in which words."""

import gc
import json
import pickle
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from attention_core import ModelError, capture, load_model
from attention_core.models import locating, placement
from attention_core.models.cards import CATALOGUE, DEFAULT, GROUPS, find_card, group_of
from attention_core.models.folder import free_memory_bytes, gigabytes
from attention_core.reading.predictions import Labels
from tests.support import tiny


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A tiny random BERT as save_pretrained writes it."""
    folder = tmp_path_factory.mktemp("models") / "tiny-bert"
    tiny.bare("bert").save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(saved, tmp_path / "tiny-bert"))


def test_the_bundled_model_has_the_facts_it_is_known_for():
    facts = load_model("minilm").facts
    assert (facts.architecture, facts.n_layers, facts.n_heads, facts.d_model, facts.d_head) == (
        "BertModel",
        6,
        12,
        384,
        32,
    )
    assert facts.n_parameters == 22_713_216
    assert facts.context_length == 512
    assert facts.licence == "Apache-2.0"


def test_a_wrong_checksum_is_refused(monkeypatch, folder):
    card = DEFAULT.__class__(**{**{f: getattr(DEFAULT, f) for f in DEFAULT.__slots__}, "sha256": "0" * 64})
    monkeypatch.setattr(locating, "find_card", lambda name: card)
    with pytest.raises(ModelError, match="not the official ones"):
        load_model("minilm")


def test_a_folder_opens_with_the_weights_it_holds(saved):
    model = load_model(str(saved))
    stored = load_file(saved / "model.safetensors")
    assert torch.equal(
        model.model.state_dict()["embeddings.word_embeddings.weight"], stored["embeddings.word_embeddings.weight"]
    )
    assert (model.facts.name, model.facts.n_heads, model.facts.d_head, model.facts.context_length) == (
        "tiny-bert",
        3,
        5,
        64,
    )


def test_folders_can_be_off(saved):
    with pytest.raises(ModelError, match="does not open folders"):
        load_model(str(saved), allow_folders=False)


def test_the_hub_can_be_off():
    with pytest.raises(ModelError, match="does not fetch that model"):
        load_model("openai-community/gpt2", allow_hub=False)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "Choose a model"),
        ("/no/such/folder", "There is no folder"),
        ("../somewhere", "There is no folder"),
        ("two words", "is not a model's name"),
        ("<b>x</b>", "is not a model's name"),
        ("a\x00b", "hub id looks like owner/name"),
        ("x" * 5_000, "hub id looks like owner/name"),
    ],
)
def test_a_name_that_cannot_be_one_gets_a_sentence(name, sentence):
    with pytest.raises(ModelError, match=sentence):
        load_model(name)


def remove_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def leave_a_pickle(folder: Path) -> None:
    remove_weights(folder)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weights": 1}))


def cut_weights(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def cut_header(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:40])


def grow_weights(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes() + b"more")


def rewrite_header(folder: Path, change: Callable[[dict], None]) -> None:
    file = folder / "model.safetensors"
    data = file.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    change(header)
    raw = json.dumps(header).encode()
    file.write_bytes(len(raw).to_bytes(8, "little") + raw + data[8 + size :])


WORDS = "embeddings.word_embeddings.weight"  # a tensor


def lie_about_a_shape(folder: Path) -> None:
    rewrite_header(folder, lambda header: header[WORDS].update(shape=[10**9, 10**9]))


def lie_about_a_place(folder: Path) -> None:
    rewrite_header(folder, lambda header: header[WORDS].update(data_offsets=[0, 10**15]))


def lie_about_the_header(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes((2**62).to_bytes(8, "little") + file.read_bytes()[8:])


def unknown_dtype(folder: Path) -> None:
    rewrite_header(folder, lambda header: header[WORDS].update(dtype="PICKLE"))


def change_config(folder: Path, **values: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def state_a_million_layers(folder: Path) -> None:
    change_config(folder, num_hidden_layers=1_000_000)


def state_a_huge_width(folder: Path) -> None:
    change_config(folder, hidden_size=48_000, intermediate_size=200_000)


def state_nonsense(folder: Path) -> None:
    change_config(folder, hidden_size="wide", num_attention_heads=0)


def name_weights_elsewhere(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder.parent / "stolen.safetensors")
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../stolen.safetensors"}}')


def lose_a_part(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-2-of-2.safetensors"}}')


def break_off(folder: Path) -> None:
    """As the hub's library leaves a folder that it was told to fill."""
    remove_weights(folder)
    place = folder / ".cache/huggingface/download"
    place.mkdir(parents=True)
    (place / "model.safetensors.abc.incomplete").write_bytes(b"the first bytes")


def break_off_a_browser(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model.safetensors.crdownload")


def lose_what_a_link_leads_to(folder: Path) -> None:
    """A snapshot of the hub's cache whose file has not come."""
    remove_weights(folder)
    (folder / "model.safetensors").symlink_to(folder / "blobs" / "not-here")


def leave_a_pointer(folder: Path) -> None:
    """A clone without Git LFS."""
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n")


def lose_the_index(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")


def prune(folder: Path) -> None:
    """One head of each layer is taken out, as version 4 of transformers did it."""
    file = folder / "model.safetensors"
    tensors = load_file(file)
    for name, tensor in tensors.items():
        if ".self." in name:
            tensors[name] = tensor[5:].contiguous()
        elif name.endswith("attention.output.dense.weight"):
            tensors[name] = tensor[:, 5:].contiguous()
    save_file(tensors, file, {"format": "pt"})
    change_config(folder, pruned_heads={"0": [0], "1": [0]})


def state_other_sizes(folder: Path) -> None:
    change_config(folder, intermediate_size=18)


def leave_an_adapter(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")


def lose_a_weight(folder: Path) -> None:
    file = folder / "model.safetensors"
    tensors = load_file(file)
    del tensors["encoder.layer.1.attention.self.query.weight"]
    save_file(tensors, file, {"format": "pt"})


def lie_about_sizes(folder: Path) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "hidden_size": 30}))


def bring_code(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "mine", "auto_map": {"AutoModel": "code.Mine"}}))
    (folder / "code.py").write_text("raise SystemExit('this ran')")


def unknown_architecture(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "nobody-knows"}')


def break_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def remove_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def remove_tokenizer(folder: Path) -> None:
    for file in folder.glob("*token*"):
        file.unlink()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (remove_weights, "has its config.json but no weights"),
        (leave_a_pickle, "a pickle can run code"),
        (cut_weights, "are damaged: model.safetensors lacks its last 100 bytes"),
        (cut_header, "ends before its header does"),
        (grow_weights, "is longer than its header says"),
        (lie_about_a_shape, "states a size for embeddings.word_embeddings.weight that it does not have"),
        (lie_about_a_place, "are damaged"),
        (lie_about_the_header, "ends before its header does"),
        (unknown_dtype, "which is not known here"),
        (state_a_million_layers, "num_hidden_layers = 1,000,000; its weights have 39 tensors"),
        (state_a_huge_width, "They do not belong together"),
        (state_nonsense, "tiny-bert could not be loaded"),
        (name_weights_elsewhere, "names '../stolen.safetensors' as weights"),
        (lose_a_part, "download of tiny-bert is not finished.*lacks model-2-of-2.safetensors"),
        (break_off, "download of tiny-bert is not finished: its weights did not come"),
        (break_off_a_browser, "download of tiny-bert is not finished: its weights did not come"),
        (lose_what_a_link_leads_to, "download of tiny-bert is not finished: its weights did not come"),
        (leave_a_pointer, "a pointer of Git LFS in the place of model.safetensors: its weights were not fetched"),
        (lose_the_index, "holds model-00001-of-00002.safetensors, but neither model.safetensors nor"),
        (prune, "was pruned: 2 of its heads were taken out before it was saved"),
        (state_other_sizes, "do not have the sizes that its config.json states"),
        (leave_an_adapter, "holds an adapter only"),
        (lose_a_weight, "incomplete: 1 are missing, the first is encoder.layer.1.attention.self.query.weight"),
        (lie_about_sizes, "do not have the sizes that its config.json states"),
        (bring_code, "its own code, which Sightline never runs"),
        (unknown_architecture, "transformers does not know it"),
        (break_config, "cannot be read as JSON"),
        (remove_config, "has no config.json"),
        (remove_tokenizer, "has no tokenizer"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_damaged_folder_gets_a_sentence(folder, damage, sentence):
    damage(folder)
    with pytest.raises(ModelError, match=sentence):
        load_model(str(folder))


@pytest.mark.slow
@pytest.mark.parametrize("damage", [cut_weights, lie_about_a_shape, state_a_huge_width, bring_code, leave_a_pickle])
def test_a_refused_folder_gives_its_memory_back(tmp_path, damage):
    """40 MB of weights, refused five times: what the process holds afterwards has not grown by even one copy."""
    folder = tmp_path / "tiny-bert"
    tiny.random_model("BertModel", **{**tiny._BERT, "intermediate_size": 320_000}).save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    damage(folder)

    def refused() -> int:
        with pytest.raises(ModelError):
            load_model(str(folder))
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    first = refused()
    assert max(refused() for _ in range(4)) - first < 20_000_000


@pytest.mark.slow
def test_weights_that_are_missing_after_loading_give_their_memory_back(tmp_path):
    """Here a model was built before it was refused."""
    folder = tmp_path / "tiny-bert"
    tiny.random_model("BertModel", **{**tiny._BERT, "intermediate_size": 320_000}).save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    lose_a_weight(folder)
    sizes = []
    for _ in range(4):
        with pytest.raises(ModelError, match="incomplete"):
            load_model(str(folder))
        gc.collect()
        sizes.append(int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize())
    assert max(sizes) - sizes[0] < 20_000_000


def test_a_model_that_does_not_fit_is_refused_with_both_sizes(saved, monkeypatch):
    n_bytes = load_model(str(saved)).nbytes
    monkeypatch.setattr(placement, "free_memory_bytes", lambda: n_bytes)
    with pytest.raises(
        ModelError, match=r"tiny-bert needs .* GB of memory, and .* GB are free\. Choose a smaller model"
    ):
        load_model(str(saved))
    assert load_model(str(saved), dtype="bfloat16").dtype == torch.bfloat16  # half of it


def test_sizes_are_said_in_gigabytes_that_say_something():
    assert [gigabytes(n) for n in (90_000_000, 1_503_000_000, 14_400_000_000)] == ["0.09", "1.5", "14"]


@pytest.mark.parametrize(
    ("asked", "dtype"),
    [("float32", torch.float32), ("bfloat16", torch.bfloat16), ("float16", torch.float16), ("stored", torch.float16)],
)
@pytest.mark.parametrize("name", ["bert", "llama", "gpt2", "t5"])
def test_every_precision_is_proven_with_its_own_tolerance(tmp_path, name, asked, dtype):
    tiny.bare(name).half().save_pretrained(tmp_path / "half")
    tiny.tokenizer().save_pretrained(tmp_path / "half")
    model = load_model(str(tmp_path / "half"), dtype=asked)
    assert (model.dtype, model.device.type) == (dtype, "cpu")
    trace = capture(model, tiny.SENTENCE, target="the dog ran" if model.facts.encoder_decoder else None)
    assert {layer.tensors()["q"].dtype for layer in trace.layers} == {dtype}
    checks = [
        check
        for layer, of_layer in enumerate(trace.layers)
        for head in range(of_layer.n_heads)
        for check in trace.proof(layer, head)
    ]
    assert not [check for check in checks if not check.holds]
    assert any(str(dtype).removeprefix("torch.") in check.reason for check in checks)


HEADS = [
    ("LlamaForCausalLM", tiny._LLAMA),
    ("BertForMaskedLM", {**tiny._BERT, "intermediate_size": 170}),
    ("T5ForConditionalGeneration", tiny.FAMILIES["t5"][1]),
    ("BartForConditionalGeneration", tiny._BART),
]


@pytest.mark.filterwarnings("ignore:The following device_map keys")
@pytest.mark.parametrize(("architecture", "sizes"), HEADS, ids=lambda value: value if isinstance(value, str) else "")
def test_what_does_not_fit_stays_on_the_disk_and_is_captured_all_the_same(tmp_path, monkeypatch, architecture, sizes):
    """accelerate brings each part of the model from the disk when its turn comes."""
    tiny.random_model(architecture, **sizes).save_pretrained(tmp_path / "model")
    tiny.tokenizer().save_pretrained(tmp_path / "model")
    target = "the dog ran" if "Conditional" in architecture else None
    whole = load_model(str(tmp_path / "model"))
    expected = capture(whole, tiny.SENTENCE, target=target)
    monkeypatch.setattr(placement, "free_memory_bytes", lambda: int(whole.nbytes * 0.9))
    split = load_model(str(tmp_path / "model"), offload=tmp_path / "disk")
    assert split.nbytes < whole.nbytes
    trace = capture(split, tiny.SENTENCE, target=target)
    for ours, theirs in zip(trace.layers, expected.layers, strict=True):
        assert all(torch.equal(ours.tensors()[name], tensor) for name, tensor in theirs.tensors().items())
    assert all(check.holds for layer in range(len(trace.layers)) for check in trace.proof(layer, 0))
    assert repr(trace.readout()) == repr(expected.readout())


def test_a_checkpoint_with_a_language_head_is_loaded_with_it_and_captured_without(tmp_path):
    whole = tiny.random_model("GPT2LMHeadModel", **tiny.FAMILIES["gpt2"][1])
    whole.save_pretrained(tmp_path / "gpt2")
    tiny.tokenizer().save_pretrained(tmp_path / "gpt2")
    model = load_model(str(tmp_path / "gpt2"))
    assert type(model.model).__name__ == "GPT2Model"
    assert model.head is not None
    assert (type(model.head.whole).__name__, model.head.predicts) == ("GPT2LMHeadModel", "next token")
    assert model.head.whole.base_model is model.model


def test_a_head_of_another_kind_is_left_out(tmp_path):
    """Electra's discriminator has no words to say; transformers would make up a head that has."""
    sizes = {**tiny._BERT, "embedding_size": 7}
    tiny.random_model("ElectraForPreTraining", **sizes).save_pretrained(tmp_path / "electra")
    tiny.tokenizer().save_pretrained(tmp_path / "electra")
    model = load_model(str(tmp_path / "electra"))
    assert model.head is None
    assert type(model.model).__name__ == "ElectraModel"


def test_without_a_network_a_hub_model_gets_a_sentence():
    """The real path to the hub, with HF_HUB_OFFLINE set by the test run."""
    with pytest.raises(ModelError, match="model hub does not answer"):
        load_model("openai-community/gpt2")


def test_cards_are_found_by_name_and_by_hub_id():
    assert find_card("minilm") is CATALOGUE[0] is DEFAULT
    assert find_card("openai-community/gpt2") is find_card("gpt2")
    assert find_card("nobody") is None
    assert len({card.id for card in CATALOGUE}) == len(CATALOGUE)


def test_every_card_states_its_facts_and_stands_with_its_group():
    for card in CATALOGUE:
        assert card.licence in {"Apache-2.0", "MIT"}
        assert 0 < card.size_mb < 3_000
        assert card.good_for.endswith((".", "?"))
        assert card.bundled or card.reference.count("/") == 1
    order = [GROUPS.index(card.group) for card in CATALOGUE]
    assert order == sorted(order)
    assert group_of("gpt2") == group_of("openai-community/gpt2") == "Decoders"
    assert group_of("nobody/nothing") is None


# --- memory that is free


def machine(root: Path, cgroup: str = "0::/job/worker\n", **cgroups: dict[str, str]) -> Path:
    """A machine with 8 GB available; `cgroups` are the files of the cgroups `job`, `worker` in it, and `top`."""
    places = {"top": "", "job": "job", "worker": "job/worker"}
    files = {"proc/meminfo": "MemTotal: 16000000 kB\nMemAvailable: 8000000 kB\n", "proc/self/cgroup": cgroup}
    for name, held in cgroups.items():
        files |= {f"sys/fs/cgroup/{places[name]}/{file.replace('_', '.')}": text for file, text in held.items()}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("cgroups", "free"),
    [
        ({}, 8_192_000_000),
        ({"worker": {"memory_max": "max\n", "memory_current": "5\n"}}, 8_192_000_000),
        ({"worker": {"memory_max": "2000\n", "memory_current": "500\n"}}, 1_500),
        ({"worker": {"memory_max": "2000\n", "memory_current": "2500\n"}}, 0),
        ({"worker": {"memory_max": "2000\n"}}, 8_192_000_000),
        ({"worker": {"memory_max": "junk\n", "memory_current": "5\n"}}, 8_192_000_000),
        ({"worker": {"memory_max": f"{10**11}\n", "memory_current": "5\n"}}, 8_192_000_000),
        (
            {
                "worker": {"memory_max": "2000\n", "memory_current": "500\n"},
                "job": {"memory_max": "3000\n", "memory_current": "2900\n"},
            },
            100,
        ),
        ({"top": {"memory_max": "2000\n", "memory_current": "500\n"}}, 1_500),
        (
            {
                "worker": {
                    "memory_max": "2000\n",
                    "memory_current": "1900\n",
                    "memory_stat": "anon 400\nfile 1500\ninactive_file 1200\nactive_file 300\n",
                }
            },
            1_300,
        ),
    ],
)
def test_the_memory_that_is_free_is_the_least_of_the_machines_and_its_containers(tmp_path, cgroups, free):
    assert free_memory_bytes(machine(tmp_path, **cgroups)) == free


@pytest.mark.parametrize("cgroup", ["4:memory:/job/worker\n", "", "0::/elsewhere\n"])
def test_a_cgroup_that_is_not_of_version_2_or_not_there_limits_nothing(tmp_path, cgroup):
    held = {"memory_max": "2000\n", "memory_current": "500\n"}
    assert free_memory_bytes(machine(tmp_path, cgroup, worker=held)) == 8_192_000_000


@pytest.mark.parametrize(
    "settings",
    [
        {"_attn_implementation": "flash_attention_2"},
        {"attn_implementation": "flash_attention_2"},
        {"return_dict": False},
    ],
    ids=str,
)
def test_how_a_file_wants_its_model_to_be_run_is_no_hindrance(tmp_path, settings):
    """Fused attention of a library that is not here, answers as plain tuples."""
    tiny.random_model("BertForSequenceClassification", num_labels=3, **tiny.FAMILIES["bert"][1]).save_pretrained(
        tmp_path
    )
    tiny.tokenizer().save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))
    trace = capture(load_model(str(tmp_path)), tiny.SENTENCE)
    assert trace.verdict().answer == "checked"
    assert isinstance(trace.readout(), Labels)
