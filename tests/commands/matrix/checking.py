"""One architecture: built tiny, captured, proven, compared with a second model that runs transformers' eager code."""

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.models.auto import modeling_auto as auto

from attention_core import Trace, capture
from attention_core.models.facts import LoadedModel
from attention_core.models.loading import wrap_model
from attention_core.observe.interface import choose_attention
from attention_core.record.layers import AttentionLayer, LayerTrace
from attention_core.record.proof import compare
from tests.commands.matrix.editing import edited_where
from tests.commands.matrix.longest import longest_text
from tests.commands.matrix.outputs import tensors_of
from tests.commands.matrix.readouts import readouts
from tests.commands.matrix.shrinking import SPECIAL_CASES, tiny_config
from tests.commands.matrix.texts import text_to_tokens
from tests.support import tiny

Outcome = Literal[
    "exact", "in part", "weights only", "not attention", "not text alone", "cannot be built tiny", "refused", "wrong"
]
TARGET = "the dog slept and then it ran"  # the decoder's text: 7 words, 8 tokens


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one architecture; `why` is empty for exact ones."""

    model_type: str
    outcome: Outcome
    why: str = ""
    model_class: str = ""
    layers: str = ""  # "2 encoder self, 1 cross", and how many are not attention
    terms: str = ""  # what the formula needed: "bias, sliding window"
    steps: str = ""  # the checks that held in every layer
    difference: float | None = None  # the largest share of its tolerance that any comparison used
    tokens: str = ""  # from text to tokens: "source ✓, target ✓"
    longest: str = ""  # "64; decoder 62"
    readout: str = ""  # "next token ✓, labels: no readout"
    edited: str = ""  # "at W_O's input ✓ 2 layers"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def check(model_type: str, *, every_head: bool = True, beside: bool = True) -> Result:
    """Build, capture and prove one architecture. Anything unforeseen is "wrong" with the error's text.

    The proof is of every head of every layer, or of the first and the last (other groups, if heads are grouped) alone.
    `beside` asks for what stands beside the attention too: text to tokens, the longest text, the readouts, the edits.
    """
    try:
        config = tiny_config(model_type)
        cls = model_class(config, model_type)
        model = build(cls, config)
    except Exception as error:
        return _failed(model_type, "cannot be built tiny", error)
    try:
        found = _check(model_type, cls, config, model, every_head)
        return _with_columns(found, cls) if beside and found.outcome in _SHOWN else found
    except Exception as error:
        refused = isinstance(error, ValueError) and "is not known here" in str(error)
        return _failed(model_type, "refused" if refused else "wrong", error, cls.__name__)


_SHOWN = ("exact", "in part", "weights only")


def _with_columns(found: Result, cls: type[PreTrainedModel]) -> Result:
    name = found.model_type
    return replace(
        found,
        tokens=_cell(lambda: text_to_tokens(name, lambda config: build(cls, config), tiny_config(name))),
        longest=_cell(lambda: longest_text(name, build(cls, tiny_config(name)))),
        readout=_cell(lambda: readouts(name, build)),
        edited=_cell(lambda: edited_where(name, build(cls, tiny_config(name)), TARGET)),
    )


def _cell(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except Exception as error:
        return f"✗ {sentence(error)[:100]}"


def _failed(model_type: str, outcome: Outcome, error: Exception, model_class: str = "") -> Result:
    """What `special_cases.json` says of an architecture that fails with this error; else the error's text."""
    known = SPECIAL_CASES.get(model_type, {}).get("if it fails")
    if known is not None and known["with"] in str(error):
        return Result(model_type, known["outcome"], known["why"], model_class)
    return Result(model_type, outcome, sentence(error), model_class)


def sentence(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}"


def model_class(config: PreTrainedConfig, model_type: str) -> type[PreTrainedModel]:
    """The bare model where transformers has one, else the one with the head that its lists name first."""
    import transformers

    for mapping in (
        auto.MODEL_MAPPING_NAMES,
        auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
        auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
        auto.MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES,
    ):
        name = mapping.get(model_type)
        if name is not None:
            return getattr(transformers, name if isinstance(name, str) else name[0])
    raise ValueError(f"no model class is listed for {model_type}")


def build(cls: type[PreTrainedModel], config: PreTrainedConfig, std: float = 0.1) -> PreTrainedModel:
    """A model with random weights, biases and norms: nothing is 0 or 1 by chance, so nothing can be left out unseen."""
    torch.manual_seed(7)
    model = cls._from_config(copy.deepcopy(config), attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point():
                parameter.add_(torch.randn_like(parameter) * (std if parameter.dim() > 1 else 0.1))
    return model


def _check(
    model_type: str, cls: type[PreTrainedModel], config: PreTrainedConfig, eager: PreTrainedModel, every_head: bool
) -> Result:
    captured = cls._from_config(copy.deepcopy(config), attn_implementation="eager").eval()
    captured.load_state_dict(eager.state_dict())
    model = wrap_model(captured, tiny.tokenizer(), name=model_type)
    with _Recorded(captured) as run, _Softmaxes() as softmaxes:
        trace = capture(model, tiny.SENTENCE, target=TARGET if model.facts.encoder_decoder else None)
    found = Result(model_type, "exact", "", cls.__name__, _layers(trace), _terms(trace))
    if not all(layer.exact for layer in trace.layers):
        return _weights_only(found, trace, captured, run)
    faults, used = _compare_runs(model, eager, run)
    proven, steps, used_by_proof = _prove(trace, every_head)
    faults += proven + _compare_attentions(eager, run, trace)
    difference = max(used, used_by_proof)
    beside = SPECIAL_CASES.get(model_type, {}).get("not between tokens")
    hidden = 0 if beside else softmaxes.n - len(trace.layers)
    partly = f"{hidden} attention computations beside the interface: {'; '.join(trace.other_layers)}" if hidden else ""
    return Result(
        model_type,
        "wrong" if faults else "in part" if hidden else "exact",
        "; ".join(faults[:3]) or partly or beside or "",
        found.model_class,
        found.layers,
        found.terms,
        steps,
        difference,
    )


class _Softmaxes(TorchFunctionMode):
    """Counts attention of any kind while a model runs: a fused kernel, or a softmax over at least 4 axes.

    One for each captured layer is right. More would be attention that we did not see: a model must not be called exact
    whose encoder we missed. (A router's softmax over experts has 2 or 3 axes.)
    """

    _SOFTMAX = {torch.softmax, torch.Tensor.softmax, torch.nn.functional.softmax}

    def __init__(self) -> None:
        super().__init__()
        self.n = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        of_scores = func in self._SOFTMAX and args and args[0].dim() >= 4
        self.n += bool(of_scores) or func is torch.nn.functional.scaled_dot_product_attention
        return func(*args, **(kwargs or {}))


class _Recorded:
    """What the model was called with during the capture, and what it returned."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model, self.inputs, self.outputs = model, {}, None

    def __enter__(self) -> "_Recorded":
        def keep(module: Any, args: Any, kwargs: Any, output: Any) -> None:
            self.inputs, self.outputs = kwargs, output

        self.hook = self.model.register_forward_hook(keep, with_kwargs=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.hook.remove()


def _compare_runs(model: LoadedModel, eager: PreTrainedModel, run: _Recorded) -> tuple[list[str], float]:
    """The captured run against the same model with its plain delegate (bit by bit) and against the eager model."""
    captured = model.model
    own = choose_attention(captured)
    faults: list[str] = []
    ours = tensors_of(run.outputs)
    if not ours:
        return ["the model returned no numbers"], 0.0
    with torch.inference_mode():
        captured.set_attn_implementation(own.removeprefix("sightline_"))
        delegate = tensors_of(captured(**run.inputs))
        captured.set_attn_implementation(own)
        theirs = tensors_of(eager(**run.inputs))
    if [t.shape for t in ours] != [t.shape for t in delegate] or not all(map(torch.equal, ours, delegate)):
        faults.append("the captured run is not bit-equal to its delegate")
    if [t.shape for t in ours] != [t.shape for t in theirs]:
        return [*faults, "the eager model returns other shapes"], 0.0
    checks = [compare("eager", a.float(), b.float()) for a, b in zip(ours, theirs, strict=True)]
    if not all(check.holds for check in checks):
        worst = max(check.difference / check.tolerance for check in checks)
        faults.append(f"the eager model differs by {worst:.3g} × the tolerance")
    return faults, max(check.difference / check.tolerance for check in checks)


def _prove(trace: Trace, every_head: bool) -> tuple[list[str], str, float]:
    faults: list[str] = []
    used = 0.0
    names: list[set[str]] = []
    for index, layer in enumerate(trace.layers):
        of_layer: set[str] = set()
        for head in range(layer.n_heads) if every_head else {0, layer.n_heads - 1}:
            for found in trace.proof(index, head):
                of_layer.add(found.name)
                if found.tolerance:
                    used = max(used, found.difference / found.tolerance)
                if not found.holds:
                    faults.append(f"{layer.label} head {head}: {found.name} off by {found.difference:.2g}")
        missing = {"mask", "weights", "output"} - of_layer
        if missing:
            faults.append(f"{layer.label}: no check of {', '.join(sorted(missing))}")
        names.append(of_layer)
    order = ["q", "k", "v", "mask", "weights", "output", "W_O"]
    everywhere = set.intersection(*names)
    return faults, " ".join(name for name in order if name in everywhere), used


def _compare_attentions(eager: PreTrainedModel, run: _Recorded, trace: Trace) -> list[str]:
    """The weights that the eager model returns by name, where it returns as many as we captured layers."""
    if run.inputs.get("output_attentions"):
        return []
    try:
        with torch.inference_mode():
            found = eager(**run.inputs, output_attentions=True)
    except Exception:
        return []
    if trace.target_tokens:
        fields = {
            "encoder self": "encoder_attentions",
            "decoder self": "decoder_attentions",
            "cross": "cross_attentions",
        }
    else:
        fields = {"encoder self": "attentions", "decoder self": "attentions"}
    faults = []
    for kind, name in fields.items():
        given = [weights for weights in getattr(found, name, None) or () if isinstance(weights, Tensor)]
        layers = [layer for layer in trace.layers if layer.kind == kind]
        if len(given) != len(layers):
            continue
        for layer, weights in zip(layers, given, strict=True):
            ours = layer.all_weights()
            theirs = weights[0].float()
            if ours.shape != theirs.shape:
                continue
            if isinstance(layer, LayerTrace) and layer.sink_logit is not None and _rows_sum_to_one(theirs):
                ours = ours / ours.sum(dim=-1, keepdim=True)  # some leave the sink's share out of what they return
            check = compare("attentions", ours, theirs)
            # Two runs differ in the last bits of each score, and a weight changes by as much as its score does.
            # A NaN is larger than nothing, so what must hold is asked for.
            if not check.difference <= check.tolerance * max(1.0, _largest_score(layer)):
                faults.append(f"{layer.label}: the eager model's own weights differ by {check.difference:.2g}")
    return faults


def _largest_score(layer: AttentionLayer) -> float:
    if not isinstance(layer, LayerTrace):
        return 1.0
    heads = range(layer.n_heads)
    return max(float(layer.steps(head).scaled_scores.abs().max()) for head in heads)


def _rows_sum_to_one(weights: Tensor) -> bool:
    sums = weights.sum(dim=-1)
    return torch.allclose(sums, torch.ones_like(sums), atol=1e-4)


def _weights_only(found: Result, trace: Trace, captured: PreTrainedModel, run: _Recorded) -> Result:
    """Are the returned weights those of the model's usual computation, and is it as causal as they say?"""
    faults = [
        f"{layer.label} head {head}: rows do not sum to 1"
        for index, layer in enumerate(trace.layers)
        for head in range(layer.n_heads)
        if not all(check.holds for check in trace.proof(index, head))
    ]
    usual = type(captured)._from_config(copy.deepcopy(captured.config)).eval()
    usual.load_state_dict(captured.state_dict())
    plain = {name: value for name, value in run.inputs.items() if name != "output_attentions"}
    with torch.inference_mode():
        ours, theirs = tensors_of(run.outputs)[0], tensors_of(usual(**plain))[0]
        if not compare("output", ours.float(), theirs.float()).holds:
            faults.append("the model computes something else when it returns weights")
        name = "decoder_input_ids" if trace.target_tokens else "input_ids"
        changed, half = plain[name].clone(), plain[name].shape[1] // 2
        changed[:, half:] = changed[:, half:].flip(1)
        after = tensors_of(usual(**{**plain, name: changed}))[0]
    own = [layer for layer in trace.layers if layer.kind != "cross"]
    if own and theirs.shape[1] == own[-1].n_query:
        looks_back = compare("causal", theirs[:, :half].float(), after[:, :half].float()).holds
        if looks_back != own[-1].causal:
            faults.append("causal, but its weights are not" if looks_back else "its weights are causal, but it is not")
    values = asdict(found)
    values["outcome"] = "wrong" if faults else "weights only"
    said = "; ".join(faults[:3]) or " ".join(trace.notes)
    values["why"] = said or "its attention is not called through transformers' interface"
    return Result(**values)


def _layers(trace: Trace) -> str:
    counts = Counter(layer.kind for layer in trace.layers)
    others = len(getattr(trace, "other_layers", ()))
    return ", ".join([f"{n} {kind}" for kind, n in counts.items()] + ([f"{others} not attention"] if others else []))


def _terms(trace: Trace) -> str:
    terms: dict[str, None] = {}
    for layer in trace.layers:
        if isinstance(layer, LayerTrace):
            if layer.n_kv_heads < layer.n_heads:
                terms["grouped heads"] = None
            if layer.q.shape[-1] != layer.v.shape[-1]:
                terms["d_value ≠ d_head"] = None
            if layer.bias is not None:
                terms["bias"] = None
            if layer.softcap is not None:
                terms["soft-cap"] = None
            if layer.sink_logit is not None:
                terms["sink logit"] = None
            if isinstance(layer.mask, Tensor):
                terms["mask by cell"] = None
            elif layer.mask.back is not None:
                terms["window"] = None
    return ", ".join(terms)
