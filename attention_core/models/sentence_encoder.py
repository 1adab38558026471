"""A sentence encoder's own way from the vectors of its tokens to one vector: what `SentenceTransformer.encode` does.

A folder says it in a few files: `modules.json` the parts in their order (pooling, dense layers, normalising), each
part's folder its settings and weights, `config_sentence_transformers.json` the prompts and how two vectors are
compared, `sentence_bert_config.json` how long a text may be. All of it is data: classes are recognised by name and
applied here, weights come from safetensors. What cannot be applied is a `problem`, in words: then no number is the
model's own.

Source: sentence_transformers 6.2 (Reimers & Gurevych 2019, Sentence-BERT), the classes that are named below.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers.normalizers import Lowercase
from tokenizers.normalizers import Sequence as Normalizers
from torch import Tensor, nn

from attention_core.formats.strict_json import strict_json
from attention_core.models.sentence_modules import MOST_BYTES, Module, ModulesError, modules_of

Mode = Literal["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
Function = Literal["cosine", "dot", "euclidean", "manhattan"]

# Older files have one switch for each way, and the order of this list where several are on.
_OLD_KEYS: dict[str, Mode] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_MODE_WORDS: dict[Mode, str] = {
    "cls": "vector of the first token",
    "max": "largest value of each number over the tokens",
    "mean": "mean of the token vectors",
    "mean_sqrt_len_tokens": "sum of the token vectors ÷ √tokens",
    "weightedmean": "mean of the token vectors, later ones weighing more",
    "lasttoken": "vector of the last token",
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
_TOKENS, _SENTENCE = "token_embeddings", "sentence_embedding"
# Encoder-decoders of which the library loads the encoder alone. Of others (BART) it takes the decoder's vectors.
_ENCODER_ALONE = frozenset(
    "t5 mt5 umt5 udop longt5 prophetnet switch_transformers blenderbot blenderbot-small m2m_100 pegasus pegasus_x "
    "marian t5gemma t5gemma2".split()
)


class _Refused(ValueError):
    """A part that cannot be applied; the text says which and why."""


Features = dict[str, Tensor]
Step = Callable[[Features, int], None]  # changes the features; the second is the number of the prompt's tokens


@dataclass(frozen=True, slots=True, eq=False)
class SentenceEncoder:
    """What a folder says about making one vector of a text."""

    steps: tuple[Step, ...] = ()
    pooling: str = _MODE_WORDS["mean"]  # in words
    then: tuple[str, ...] = ()  # what follows, in words
    problem: str = ""  # a sentence: what could not be applied; "" if the vector is the model's own
    prompts: Mapping[str, str] | None = None  # by name
    default_prompt: str = ""  # the name of the one that is put before every text
    max_tokens: int | None = None  # a longer text is cut
    lower_case: bool = False
    keep: int | None = None  # only so many of the vector's first numbers are compared
    function: Function = "cosine"

    @property
    def prompt(self) -> str:
        """What is put before every text."""
        return (self.prompts or {}).get(self.default_prompt, "") if self.default_prompt else ""

    @property
    def how(self) -> str:
        """From many vectors to one, in words."""
        return ", then ".join((self.pooling, *self.then))

    def vector(self, hidden: Float[Tensor, "token d_model"], n_prompt: int = 0) -> Float[Tensor, " d"]:
        """One vector of many. The first `n_prompt` tokens are a prompt, which some models leave out of the pooling."""
        features = {_TOKENS: hidden.float()}
        for step in self.steps or (_Pooling(("mean",), True),):
            step(features, n_prompt)
        return features[_SENTENCE][: self.keep]


@dataclass(frozen=True, slots=True, eq=False)
class _Pooling:
    """Source: sentence_transformer/modules/pooling.py, `_forward_padded`, for one text without padding."""

    modes: tuple[Mode, ...]
    include_prompt: bool

    def __call__(self, features: Features, n_prompt: int) -> None:
        hidden = features[_TOKENS]
        first = 0 if self.include_prompt else min(n_prompt, len(hidden))
        features[_SENTENCE] = torch.cat([_pooled(mode, hidden, first) for mode in self.modes])


def _pooled(mode: Mode, hidden: Float[Tensor, "token d"], first: int) -> Float[Tensor, " d"]:
    own = hidden[first:]
    if not len(own):  # nothing but the prompt
        own, first = hidden[:1] * 0, 0
    if mode == "cls":
        return own[0]
    if mode == "lasttoken":
        return own[-1]
    if mode == "max":
        return own.max(dim=0).values
    if mode == "weightedmean":  # a token keeps its place where a prompt before it is left out
        weights = torch.arange(first + 1, first + len(own) + 1, dtype=own.dtype)[:, None]
        return (own * weights).sum(dim=0) / weights.sum()
    return own.sum(dim=0) / (len(own) if mode == "mean" else len(own) ** 0.5)


@dataclass(frozen=True, slots=True, eq=False)
class _Dense:
    """Source: base/modules/dense.py."""

    weight: Float[Tensor, "out in"]
    bias: Float[Tensor, " out"] | None
    activation: nn.Module
    residual: Float[Tensor, "out in"] | None
    adds: bool
    reads: str
    writes: str

    def __call__(self, features: Features, n_prompt: int) -> None:
        x = features[self.reads]
        made = self.activation(nn.functional.linear(x, self.weight, self.bias))
        if self.adds:
            made = made + (x if self.residual is None else nn.functional.linear(x, self.residual))
        features[self.writes] = made


@dataclass(frozen=True, slots=True, eq=False)
class _Normalize:
    """Source: base/modules/normalize.py."""

    reads: str
    writes: str

    def __call__(self, features: Features, n_prompt: int) -> None:
        features[self.writes] = nn.functional.normalize(features[self.reads], dim=-1)


@dataclass(frozen=True, slots=True, eq=False)
class _LayerNorm:
    """Source: sentence_transformer/modules/layer_norm.py."""

    weight: Float[Tensor, " d"]
    bias: Float[Tensor, " d"]

    def __call__(self, features: Features, n_prompt: int) -> None:
        x = features[_SENTENCE]
        features[_SENTENCE] = nn.functional.layer_norm(x, x.shape, self.weight, self.bias)


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


def lower_cased(tokenizer: Any) -> None:
    """Make a tokenizer read everything in lower case, as the library does where a folder asks for it."""
    if not tokenizer.is_fast:
        tokenizer.do_lower_case = True
        return
    rule: Any = tokenizer.backend_tokenizer.normalizer
    rules = [] if rule is None else [*rule] if isinstance(rule, Normalizers) else [rule]
    if not any(isinstance(one, Lowercase) for one in rules):
        tokenizer.backend_tokenizer.normalizer = Normalizers([Lowercase(), *rules])


def vectors_of(body: Any, inputs: Mapping[str, Tensor]) -> Float[Tensor, "token d_model"]:
    """The token vectors that are pooled, in float32; of encoder-decoders whose encoder is used alone, the encoder's."""
    if getattr(body.config, "is_encoder_decoder", False) and body.config.model_type in _ENCODER_ALONE:
        body = body.get_encoder()
    with torch.inference_mode():
        return body(**inputs).last_hidden_state[0].float().cpu()


def compared(function: Function, a: Float[Tensor, " d"], b: Float[Tensor, " d"]) -> float:
    """How the library compares two vectors; distances count negative, so that more is more alike.

    Source: sentence_transformers/util/similarity.py.
    """
    a, b = a.double(), b.double()
    if function == "dot":
        return float(a @ b)
    if function == "euclidean":
        return -float((a - b).norm())
    if function == "manhattan":
        return -float((a - b).abs().sum())
    return float(nn.functional.cosine_similarity(a, b, dim=0).clamp(-1.0, 1.0))


def _steps(folder: Path, modules: tuple[Module, ...], d_model: int) -> tuple[tuple[Step, ...], str, tuple[str, ...]]:
    """What comes after the transformer, and in words how it pools and what follows."""
    if modules[0].name != "Transformer":
        raise _Refused(f"Its first part is {modules[0].kind[-60:]!r}, which is not applied here.")
    widths = {_TOKENS: d_model}
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
            then.append(word if made.reads == _SENTENCE else f"{word} for each token")
        elif module.name == "Normalize":
            reads, writes = _ends(_json(place / "config.json"), widths)
            steps.append(_Normalize(reads, writes))
            widths[writes] = widths[reads]
            then.append("length 1")
        elif module.name == "LayerNorm":
            weights = _weights(place, module.path, {"norm.weight": (widths.get(_SENTENCE),)})
            bias = _weights(place, module.path, {"norm.bias": (widths.get(_SENTENCE),)})
            steps.append(_LayerNorm(weights["norm.weight"], bias["norm.bias"]))
            then.append("a layer norm")
        elif module.name != "Dropout":  # which does nothing once a model is trained
            raise _Refused(f"Its part {module.kind[-60:]!r} is not applied here.")
    if not pooling:
        raise _Refused("It has no part that makes one vector of many.")
    return tuple(steps), pooling, tuple(then)


def _pooling(place: Path, widths: dict[str, int]) -> tuple[_Pooling, str]:
    stated = _json(place / "config.json")
    named = stated.get("pooling_mode")
    if named is None:
        named = [mode for key, mode in _OLD_KEYS.items() if stated.get(key)] or ["mean"]
    modes = [named] if isinstance(named, str) else named
    if not isinstance(modes, list) or not modes or any(mode not in get_args(Mode) for mode in modes):
        raise _Refused(f"It pools in a way that is not known here: {str(named)[:60]!r}.")
    width = stated.get("embedding_dimension", stated.get("word_embedding_dimension", widths[_TOKENS]))
    if width != widths[_TOKENS]:
        raise _Refused(f"It pools vectors of {str(width)[:20]} numbers, and the model's have {widths[_TOKENS]}.")
    widths[_SENTENCE] = widths[_TOKENS] * len(modes)
    known = tuple(cast(list[Mode], modes))
    words = " and ".join(_MODE_WORDS[mode] for mode in known)
    return _Pooling(known, stated.get("include_prompt", True) is not False), words


def _dense(place: Path, path: str, widths: dict[str, int]) -> _Dense:
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
    return _Dense(
        weights["linear.weight"],
        weights.get("linear.bias"),
        activation(),
        weights.get("residual.weight"),
        adds,
        reads,
        writes,
    )


def _ends(stated: Mapping[str, Any], widths: Mapping[str, int]) -> tuple[str, str]:
    """Which features a part reads and which it writes."""
    reads = stated.get("module_input_name") or _SENTENCE
    writes = stated.get("module_output_name") or reads
    if reads not in widths or writes not in (_TOKENS, _SENTENCE):
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


def _settings(place: Path) -> dict[str, Any]:
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
    if text != plain or stated.get("module_output_name", _TOKENS) != _TOKENS:
        raise _Refused("It does not pool the last vectors of a text's tokens.")
    return {"max_tokens": longest, "lower_case": lower is True}


def _stated(stated: Mapping[str, Any]) -> dict[str, Any]:
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


def _json(file: Path) -> dict[str, Any]:
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
