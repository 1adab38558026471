"""Loading one architecture from a folder: as it was saved, with a weight too few, and with a weight too many.

Every class that transformers names for a `model_type` is saved and loaded again; what is captured must be that class's
own body, with every parameter as it was saved and nothing to be said about it.
"""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel
from transformers.models.auto import modeling_auto as auto

from attention_core import ModelError, load_model
from attention_core.inside.of_transformers import modelling_files
from attention_core.models.facts import LoadedModel
from tests.commands.matrix.checking import build, model_class, sentence
from tests.commands.matrix.shrinking import tiny_config
from tests.support import tiny

EXTRA = "an_extra_bias"


@dataclass(frozen=True, slots=True)
class Loading:
    """What became of one class; no faults if all is as it must be."""

    model_type: str
    model_class: str
    said: str = ""  # a refusal that is right: it reads images
    faults: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def classes_of(model_type: str, *, every: bool) -> list[type[PreTrainedModel]]:
    """The classes that transformers' lists by task name for this architecture; with `every` all that its files have."""
    import transformers

    lists = {name: value for name, value in vars(auto).items() if name.endswith("_MAPPING_NAMES")}
    named: dict[str, None] = {}
    for one in lists.values():
        found = one.get(model_type)
        named.update(dict.fromkeys([found] if isinstance(found, str) else found or ()))
    classes = [cls for name in named if (cls := getattr(transformers, name, None)) is not None]
    config = tiny_config(model_type)
    if every:
        for file in modelling_files(config):
            # Inner classes that nobody saves have no name in transformers itself.
            classes += [cls for name, cls in vars(file).items() if getattr(transformers, name, None) is cls]
    fit = [
        cls
        for cls in classes
        if isinstance(cls, type)
        and issubclass(cls, PreTrainedModel)
        and isinstance(config, cls.config_class or ())
        and "forward" in vars(cls)
    ]
    return list(dict.fromkeys(fit))


def check_classes(model_type: str) -> dict[str, Any]:
    """What became of every class of this architecture that transformers can name, as a line of the matrix."""
    try:
        classes = classes_of(model_type, every=True)
        found = [check_class(model_type), *(check_class(model_type, cls, damage=False) for cls in classes)]
    except Exception as error:  # a configuration that cannot be made tiny
        return {"model_type": model_type, "outcome": "cannot be built tiny", "why": sentence(error)}
    faults = [f"{one.model_class}: {fault}" for one in found for fault in one.faults]
    said = [f"{one.model_class}: {one.said}" for one in found if one.said]
    return {
        "model_type": model_type,
        "outcome": "wrong" if faults else "as saved",
        "layers": f"{len(found)} classes, {len(said)} not opened",
        "why": "; ".join((faults or said)[:3]),
    }


def check_class(model_type: str, cls: type[PreTrainedModel] | None = None, *, damage: bool = True) -> Loading:
    """Save a tiny random model of this class, load it, and with `damage` take a weight away and put one in."""
    config = tiny_config(model_type)
    cls = cls or model_class(config, model_type)
    try:
        saved = build(cls, config)
    except Exception as error:
        return Loading(model_type, cls.__name__, f"cannot be built tiny: {sentence(error)}")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "tiny"
        saved.save_pretrained(folder)
        tiny.tokenizer().save_pretrained(folder)
        try:
            loaded = load_model(str(folder))
        except ModelError as error:
            said = str(error)
            # Sizes that are real beside a vocabulary that is not.
            right = "text alone" in said or "They do not belong together" in said
            return Loading(model_type, cls.__name__, said if right else "", () if right else (said,))
        faults = _unlike(saved, loaded)
        faults += [f"said without a reason: {said}" for said in loaded.report.reservations]
        if damage:
            faults += _damaged(folder, loaded)
    return Loading(model_type, cls.__name__, "", tuple(faults))


def _unlike(saved: PreTrainedModel, loaded: LoadedModel) -> list[str]:
    """Parameters of what is captured that are not among those that were saved."""
    ours = dict(loaded.model.named_parameters())
    theirs = {name: tensor for name, tensor in saved.named_parameters(remove_duplicate=False)}
    faults = []
    for name, tensor in ours.items():
        # Some classes are saved without a pooler, or without a table of positions that they compute.
        if "pooler" in name or "embed_positions" in name:
            continue
        found = [other for key, other in theirs.items() if key == name or key.endswith(f".{name}")]
        if not any(tensor.shape == other.shape and torch.equal(tensor, other.float()) for other in found):
            faults.append(f"{name} is not as it was saved")
    return faults[:2]


def _damaged(folder: Path, loaded: LoadedModel) -> list[str]:
    """With one attention weight dropped it is refused; with one more it is said."""
    whole = {file: load_file(file) for file in folder.glob("*.safetensors")}
    file, name = _attention_weight(whole)
    if name is None:
        return ["no weight of attention was found"]
    faults = []
    fewer = {key: tensor for key, tensor in whole[file].items() if key != name}
    save_file(fewer, file, {"format": "pt"})
    try:
        load_model(str(folder))
        faults.append(f"{name} was dropped, and nothing was said")
    except ModelError as error:
        if "are incomplete" not in str(error):
            faults.append(f"{name} was dropped: {error}")
    extra = f"{name.rpartition('.')[0]}.{EXTRA}"
    save_file({**whole[file], extra: torch.ones(3)}, file, {"format": "pt"})
    try:
        if not any(EXTRA in said for said in load_model(str(folder)).report.reservations):
            faults.append(f"{extra} was put in, and nothing was said")
    except ModelError as error:
        faults.append(f"{extra} was put in: {error}")
    save_file(whole[file], file, {"format": "pt"})
    return faults


def _attention_weight(whole: dict[Path, dict[str, torch.Tensor]]) -> tuple[Path, str | None]:
    """A matrix of an attention module, of text where there is more."""
    names = [(file, name) for file, tensors in whole.items() for name in tensors if tensors[name].dim() >= 2]
    for words in (("attn", "attention"), ("mixer", "layer")):
        found = [
            (file, name)
            for file, name in names
            if any(word in name.lower() for word in words)
            and not any(word in name for word in ("vision", "visual", "image", "audio", "speech", "norm", "relative"))
        ]
        if found:
            return found[0]
    return names[0][0], None
