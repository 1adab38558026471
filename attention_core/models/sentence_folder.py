"""What a folder says of a sentence encoder: which parts follow the transformer, with which settings and weights.

`modules.json` has the parts in their order (pooling, dense layers, normalising), each part's folder its settings and
weights, `config_sentence_transformers.json` the prompts and how two vectors are compared, `sentence_bert_config.json`
how long a text may be. All of it is data: classes are recognised by name and never imported, weights come from
safetensors. What cannot be applied ends in `SentenceEncoder.problem`, in words.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast, get_args

from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers.normalizers import Lowercase
from tokenizers.normalizers import Sequence as Normalizers
from torch import Tensor, nn

from attention_core.formats.json_data import JsonMapping, JsonObject
from attention_core.formats.strict_json import strict_json
from attention_core.models.sentence_encoder import (
    MODE_WORDS,
    SENTENCE,
    TOKENS,
    Dense,
    Function,
    LayerNorm,
    Mode,
    Normalize,
    Pooling,
    SentenceEncoder,
    Step,
)
from attention_core.models.sentence_modules import MOST_BYTES, Module, ModulesError, modules_of
from attention_core.text.tokenizer import Tokenizer

# Older files have one switch for each way, and the order of this list where several are on.
_OLD_KEYS: dict[str, Mode] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
# Classes of torch that take no arguments and keep no state: a name that a stranger wrote picks one of these or none.
_ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    activation.__name__: activation
    for activation in (
        nn.Identity,
        nn.Tanh,
        nn.ReLU,
        nn.ReLU6,
        nn.GELU,
        nn.SiLU,
        nn.Mish,
        nn.Sigmoid,
        nn.LogSigmoid,
        nn.Softplus,
        nn.Softsign,
        nn.ELU,
        nn.SELU,
        nn.CELU,
        nn.LeakyReLU,
        nn.Hardtanh,
        nn.Hardswish,
    )
}
# Where the transformer's own settings stand; the first that is there counts.
_SETTINGS = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
_HARMLESS_ARGUMENTS = {"trust_remote_code", "dtype", "torch_dtype", "attn_implementation", "padding_side", "use_fast"}


class _Refused(ValueError):
    """A part that cannot be applied; the text says which and why."""


def read_encoder(folder: Path, d_model: int) -> SentenceEncoder | None:
    """What a checked folder says; None if it is no sentence encoder's. `d_model` numbers make a token's vector."""
    try:
        modules = modules_of(folder)
    except ModulesError as error:
        return SentenceEncoder(problem=f"The folder {error}")
    if modules is None:
        return None
    try:
        stated = _json(folder / "config_sentence_transformers.json")
        kind = stated.get("model_type", "SentenceTransformer")
        if kind == "CrossEncoder":  # reads two texts at once and labels them: it makes no vectors
            return None
        if kind != "SentenceTransformer":
            raise _Refused(f"The folder is of a {str(kind)[:40]}, which compares in a way that is not applied here.")
        settings = _settings(folder / modules[0].path)
        steps, pooling, then = _steps(folder, modules, d_model)
        return SentenceEncoder(steps, pooling, then, **_stated(stated), **settings)
    except _Refused as error:
        return SentenceEncoder(problem=str(error))


def lower_cased(tokenizer: Tokenizer) -> None:
    """Make a tokenizer read everything in lower case, as the library does where a folder asks for it."""
    if not tokenizer.is_fast:
        tokenizer.do_lower_case = True
        return
    rule: object = tokenizer.backend_tokenizer.normalizer
    rules = [] if rule is None else [*rule] if isinstance(rule, Normalizers) else [rule]
    if not any(isinstance(one, Lowercase) for one in rules):
        tokenizer.backend_tokenizer.normalizer = Normalizers([Lowercase(), *rules])


def _steps(folder: Path, modules: tuple[Module, ...], d_model: int) -> tuple[tuple[Step, ...], str, tuple[str, ...]]:
    """What comes after the transformer, and in words how it pools and what follows."""
    if modules[0].name != "Transformer":
        raise _Refused(f"Its first part is {modules[0].kind[-60:]!r}, which is not applied here.")
    widths = {TOKENS: d_model}
    steps: list[Step] = []
    pooling, then = "", []
    for module in modules[1:]:
        place = folder / module.path
        if module.name == "Pooling":
            made, words = _pooling(place, widths)
            steps.append(made)
            pooling = words
        elif module.name == "Dense":
            made = _dense(place, module.path, widths)
            steps.append(made)
            word = f"a dense layer to {made.weight.shape[0]}"
            then.append(word if made.reads == SENTENCE else f"{word} for each token")
        elif module.name == "Normalize":
            reads, writes = _ends(_json(place / "config.json"), widths)
            steps.append(Normalize(reads, writes))
            widths[writes] = widths[reads]
            then.append("length 1")
        elif module.name == "LayerNorm":
            weights = _weights(place, module.path, {"norm.weight": (widths.get(SENTENCE),)})
            bias = _weights(place, module.path, {"norm.bias": (widths.get(SENTENCE),)})
            steps.append(LayerNorm(weights["norm.weight"], bias["norm.bias"]))
            then.append("a layer norm")
        elif module.name != "Dropout":  # which does nothing once a model is trained
            raise _Refused(f"Its part {module.kind[-60:]!r} is not applied here.")
    if not pooling:
        raise _Refused("It has no part that makes one vector of many.")
    return tuple(steps), pooling, tuple(then)


def _pooling(place: Path, widths: dict[str, int]) -> tuple[Pooling, str]:
    stated = _json(place / "config.json")
    named = stated.get("pooling_mode")
    if named is None:
        named = [mode for key, mode in _OLD_KEYS.items() if stated.get(key)] or ["mean"]
    modes = [named] if isinstance(named, str) else named
    if not isinstance(modes, list) or not modes or any(mode not in get_args(Mode) for mode in modes):
        raise _Refused(f"It pools in a way that is not known here: {str(named)[:60]!r}.")
    width = stated.get("embedding_dimension", stated.get("word_embedding_dimension", widths[TOKENS]))
    if width != widths[TOKENS]:
        raise _Refused(f"It pools vectors of {str(width)[:20]} numbers, and the model's have {widths[TOKENS]}.")
    widths[SENTENCE] = widths[TOKENS] * len(modes)
    known = tuple(cast(list[Mode], modes))
    words = " and ".join(MODE_WORDS[mode] for mode in known)
    return Pooling(known, stated.get("include_prompt", True) is not False), words


def _dense(place: Path, path: str, widths: dict[str, int]) -> Dense:
    stated = _json(place / "config.json")
    reads, writes = _ends(stated, widths)
    n_in, n_out = stated.get("in_features"), stated.get("out_features")
    if n_in != widths[reads] or not isinstance(n_out, int) or n_out <= 0:
        raise _Refused(f"Its dense layer in {path} reads {str(n_in)[:20]} numbers, and is given {widths[reads]}.")
    named = stated.get("activation_function", "torch.nn.modules.activation.Tanh")
    known = isinstance(named, str) and named.startswith("torch.nn.")
    activation = _ACTIVATIONS.get(named.rsplit(".", 1)[-1]) if known else None
    if activation is None:
        raise _Refused(f"Its dense layer in {path} ends in {str(named)[:60]!r}, which is not applied here.")
    shapes: dict[str, tuple[int | None, ...]] = {"linear.weight": (n_out, n_in)}
    if stated.get("bias", True):
        shapes["linear.bias"] = (n_out,)
    adds = bool(stated.get("use_residual", False))
    if adds and n_in != n_out:
        shapes["residual.weight"] = (n_out, n_in)
    weights = _weights(place, path, shapes)
    widths[writes] = n_out
    return Dense(
        weights["linear.weight"],
        weights.get("linear.bias"),
        activation(),
        weights.get("residual.weight"),
        adds,
        reads,
        writes,
    )


def _ends(stated: JsonMapping, widths: Mapping[str, int]) -> tuple[str, str]:
    """Which features a part reads and which it writes."""
    reads = stated.get("module_input_name") or SENTENCE
    writes = stated.get("module_output_name") or reads
    if reads not in widths or writes not in (TOKENS, SENTENCE):
        raise _Refused(
            f"One of its parts makes {str(writes)[:40]!r} of {str(reads)[:40]!r}, which is not applied here."
        )
    return reads, writes


def _weights(place: Path, path: str, shapes: Mapping[str, tuple[int | None, ...]]) -> dict[str, Tensor]:
    file = place / "model.safetensors"
    if not file.is_file():
        raise _Refused(f"The weights of its part in {path} are not there as safetensors, and a pickle is never loaded.")
    try:
        held = load_file(file)
    except (SafetensorError, OSError, ValueError, KeyError):
        raise _Refused(f"The weights of its part in {path} are damaged. Download them again.") from None
    for name, shape in shapes.items():
        if name not in held or tuple(held[name].shape) != shape or not held[name].is_floating_point():
            raise _Refused(f"The weights of its part in {path} are not those that its settings state.")
    return {name: held[name].float() for name in shapes}


def _settings(place: Path) -> JsonObject:
    """What the transformer's own settings say, as fields of a `SentenceEncoder`."""
    stated = next((found for name in _SETTINGS if (found := _json(place / name))), {})
    longest, lower = stated.get("max_seq_length"), stated.get("do_lower_case", False)
    tokenizing = stated.get("tokenizer_args") or stated.get("processor_kwargs") or {}
    if isinstance(tokenizing, dict) and longest is None:
        longest = tokenizing.get("model_max_length")
    if longest is not None and (type(longest) is not int or longest < 1):
        raise _Refused(f"It states max_seq_length = {str(longest)[:40]!r}.")
    for name in ("model_args", "model_kwargs", "tokenizer_args", "processor_kwargs", "config_args", "config_kwargs"):
        given = stated.get(name) or {}
        extra = set(given) - _HARMLESS_ARGUMENTS - {"model_max_length"} if isinstance(given, dict) else {name}
        if extra:
            raise _Refused(f"It is loaded with {sorted(map(str, extra))[0][:40]!r}, which is not applied here.")
    if stated.get("processing_kwargs"):
        raise _Refused("It cuts texts into tokens with settings of its own (processing_kwargs), not applied here.")
    if stated.get("transformer_task", "feature-extraction") != "feature-extraction":
        raise _Refused(f"It pools the answers of a head ({str(stated['transformer_task'])[:40]}), not applied here.")
    plain = {"method": "forward", "method_output_name": "last_hidden_state"}
    modalities = stated.get("modality_config", {"text": plain})
    text = modalities.get("text") if isinstance(modalities, dict) else None
    if text != plain or stated.get("module_output_name", TOKENS) != TOKENS:
        raise _Refused("It does not pool the last vectors of a text's tokens.")
    return {"max_tokens": longest, "lower_case": lower is True}


def _stated(stated: JsonMapping) -> JsonObject:
    """Prompts and comparison, as fields of a `SentenceEncoder`."""
    prompts = stated.get("prompts") or {}
    if not isinstance(prompts, dict) or not all(isinstance(text, str | None) for text in prompts.values()):
        raise _Refused("Its prompts cannot be read.")
    default, keep = stated.get("default_prompt_name"), stated.get("truncate_dim")
    if default is not None and default not in prompts:
        raise _Refused(f"It puts the prompt {str(default)[:40]!r} before a text, which it does not have.")
    if keep is not None and (type(keep) is not int or keep < 1):
        raise _Refused(f"It states truncate_dim = {str(keep)[:40]!r}.")
    function = stated.get("similarity_fn_name")
    return {
        "prompts": {name: text or "" for name, text in prompts.items()},
        "default_prompt": default or "",
        "keep": keep,
        "function": function if function in get_args(Function) else "cosine",
    }


def _json(file: Path) -> JsonObject:
    """A settings file's object; empty if there is no such file. Raises _Refused for one that cannot be read."""
    if not file.is_file():
        return {}
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ValueError
        found = strict_json(file.read_bytes())
    except (OSError, ValueError):
        raise _Refused(f"{file.parent.name}/{file.name} cannot be read.") from None
    if not isinstance(found, dict):
        raise _Refused(f"{file.parent.name}/{file.name} holds no JSON object.")
    return found
