"""Models in memory already: adapters, hooks of the caller's own, compiled ones; and given back as they were."""

import warnings

import peft
import pytest
import torch
from torch import nn

from attention_core import capture, load_trace
from attention_core.models.loading import ModelError, wrap_model
from attention_core.reading.readout import NextToken
from attention_core.record.file import trace_bytes
from tests.support import tiny

LLAMA = tiny.FAMILIES["llama"][1]
GPT2 = tiny.FAMILIES["gpt2"][1]
IDS = torch.tensor([tiny.tokenizer()(tiny.SENTENCE)["input_ids"]])


def causal(architecture="LlamaForCausalLM", sizes=LLAMA):
    return tiny.random_model(architecture, **sizes)


def adapted(config, model=None):
    """A model with an adapter whose every number is random: a fresh one adds nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of peft: what transformers renamed, and that some adapters cannot be merged
        made = peft.get_peft_model(causal() if model is None else model, config)
    torch.manual_seed(11)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if any(part in name for part in ("lora_", "ia3_", "hada_", "lokr_", "vera_", "oft_")):
                parameter.add_(torch.randn_like(parameter) * 0.3)
    return made.eval()


def lora(*targets, **options):
    return peft.LoraConfig(r=5, lora_alpha=7, target_modules=list(targets), **options)


def written(model, module):
    """What a module gives in the caller's own run of the model."""
    seen = []
    handle = module.register_forward_hook(lambda _module, _args, output: seen.append(output))
    with torch.no_grad():
        model(input_ids=IDS)
    handle.remove()
    return (seen[0][0] if isinstance(seen[0], tuple) else seen[0])[0]


def checks_of(trace, layer=0, head=0):
    return {check.name: check for check in trace.proof(layer, head)}


ADAPTERS = {
    "LoRA": lora("q_proj", "v_proj", "o_proj"),
    "DoRA": lora("q_proj", "k_proj", "o_proj", use_dora=True),
    "LoRA with a bias": lora("q_proj", "o_proj", lora_bias=True),
    "IA3": peft.IA3Config(target_modules=["k_proj", "v_proj", "o_proj"], feedforward_modules=["o_proj"]),
    "LoHa": peft.LoHaConfig(r=3, alpha=5, target_modules=["q_proj", "v_proj", "o_proj"]),
    "LoKr": peft.LoKrConfig(r=3, alpha=5, target_modules=["k_proj", "o_proj"]),
}


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_is_part_of_the_maps_and_what_is_shown_as_written_is_what_the_module_gave(name):
    model = adapted(ADAPTERS[name])
    theirs = written(model, model.get_base_model().model.layers[0].self_attn)
    trace = capture(wrap_model(model, tiny.tokenizer()), tiny.SENTENCE)
    maps = trace.exact(0).projections
    assert maps.missing == ()
    torch.testing.assert_close(maps.o.written, theirs)
    checks = checks_of(trace)
    assert {"q", "k", "v", "output", "W_O"} <= set(checks) and all(check.holds for check in checks.values())
    theirs = model(input_ids=IDS).logits[0]
    torch.testing.assert_close(trace.ending.model.head.logits(trace.ending.hidden), theirs, rtol=1e-4, atol=1e-4)
    assert isinstance(trace.readout(), NextToken)


def test_base_and_adapter_add_up_and_both_are_shown():
    """x·(W + ΔW) by hand from the adapter's own two matrices: ΔW = A·B · alpha / r."""
    model = adapted(ADAPTERS["LoRA"])
    layer = model.get_base_model().model.layers[0].self_attn.q_proj
    trace = capture(wrap_model(model, tiny.tokenizer()), tiny.SENTENCE)
    (part,) = trace.exact(0).projections.q.parts
    columns = part.columns[1]
    with torch.no_grad():
        a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        by_hand = part.x.clone() @ a.T @ b.T * (7 / 5)
    torch.testing.assert_close(part.of_adapter(columns), by_hand[:, columns], rtol=1e-4, atol=1e-4)
    assert part.base.name == "q_proj.base_layer"
    step = trace.ledger(0, 1, 4).step("qkv")
    torch.testing.assert_close(step.tensors["base_q"] + step.tensors["adapter_q"], step.tensors["q_projected"])
    assert "base_k" not in step.tensors
    assert "adapter" in step.formula[0]
    writes = trace.ledger(0, 1, 4).step("joined")
    torch.testing.assert_close(
        writes.tensors["base_written"] + writes.tensors["adapter_written"], writes.tensors["written"]
    )


def test_a_saved_trace_keeps_base_and_adapter_apart():
    trace = capture(wrap_model(adapted(ADAPTERS["LoRA"]), tiny.tokenizer()), tiny.SENTENCE)
    back = load_trace(trace_bytes(trace, projections=True))
    for step, names in {"qkv": ("base_q", "adapter_q"), "joined": ("base_written", "adapter_written")}.items():
        ours, theirs = (one.ledger(0, 1, 4).step(step).tensors for one in (back, trace))
        for name in names:
            torch.testing.assert_close(ours[name], theirs[name])
    assert all(check.holds for check in back.proof(0, 1))


def test_a_merged_adapter_is_in_the_weights_and_one_that_is_switched_off_adds_nothing():
    model = adapted(ADAPTERS["LoRA"])
    with model.disable_adapter():
        off = capture(wrap_model(model, tiny.tokenizer()), tiny.SENTENCE).exact(0).projections
    model.merge_adapter()
    merged = capture(wrap_model(model, tiny.tokenizer()), tiny.SENTENCE).exact(0).projections
    for maps in (off, merged):
        assert maps.missing == () and maps.q.parts[0].base is None and maps.o.base is None
    assert not torch.allclose(off.o.written, merged.o.written)


def test_an_adapter_on_a_fused_transposed_map_is_part_of_it():
    """GPT-2's c_attn is a Conv1D, [d_in, d_out], that gives q, k and v at once."""
    model = adapted(lora("c_attn", "c_proj", fan_in_fan_out=True), causal("GPT2LMHeadModel", GPT2))
    trace = capture(wrap_model(model, tiny.tokenizer(specials=False)), tiny.SENTENCE)
    assert trace.exact(0).projections.missing == ()
    assert all(check.holds for check in trace.proof(0, 1))
    assert all(getattr(trace.exact(0).projections, name).parts[0].base is not None for name in "qkv")


def test_an_adapter_in_bfloat16_is_proven_with_that_precisions_tolerance():
    model = adapted(ADAPTERS["LoRA"], causal().to(torch.bfloat16))
    trace = capture(wrap_model(model, tiny.tokenizer()), tiny.SENTENCE)
    assert {"q", "v", "W_O"} <= set(checks_of(trace))
    assert all(check.holds for check in trace.proof(0, 2))


def test_an_adapter_put_in_after_the_model_was_wrapped_is_seen():
    model = causal()
    wrapped = wrap_model(model, tiny.tokenizer())
    capture(wrapped, tiny.SENTENCE)
    adapted(ADAPTERS["LoRA"], model)
    maps = capture(wrapped, tiny.SENTENCE).exact(0).projections
    assert maps.missing == () and maps.o.base is not None


def more(module, args, output):
    return (output[0] + 1.1, *output[1:])


class Louder(nn.Module):
    """A wrapper around an attention module, as tools for steering put it there."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, *args, **kwargs):
        output, *others = self.inner(*args, **kwargs)
        return (output * 1.5 + 0.3, *others)


def hooked(layer):
    layer.self_attn.register_forward_hook(more)


def hooked_after_wrapping(layer):
    layer.self_attn.o_proj.register_forward_hook(lambda module, args, output: output + 1.1)


def replaced(layer):
    layer.self_attn = Louder(layer.self_attn)


def patched(layer):
    forward = layer.self_attn.forward
    layer.self_attn.forward = lambda *args, **kwargs: more(None, None, forward(*args, **kwargs))


@pytest.mark.parametrize("change", [hooked, hooked_after_wrapping, replaced, patched])
def test_where_somebody_changes_what_attention_gives_the_check_of_w_o_is_not_claimed(change):
    model = causal()
    wrapped = wrap_model(model, tiny.tokenizer())
    assert "W_O" in checks_of(capture(wrapped, tiny.SENTENCE))
    change(model.model.layers[0])
    trace = capture(wrapped, tiny.SENTENCE)
    assert "W_O" not in checks_of(trace)
    assert [reason for reason in trace.exact(0).projections.missing if reason.startswith("W_O")]
    assert trace.verdict(0, 0).answer == "checked except"
    assert "W_O" in checks_of(trace, layer=1)


def test_a_hook_that_only_looks_leaves_the_check_of_w_o():
    model, seen = causal(), []
    wrapped = wrap_model(model, tiny.tokenizer())
    model.model.layers[0].self_attn.register_forward_hook(lambda module, args, output: seen.append(output[0]))
    trace = capture(wrapped, tiny.SENTENCE)
    torch.testing.assert_close(trace.exact(0).projections.o.written, seen[0][0], rtol=0, atol=0)


def test_a_hook_on_berts_attention_which_ends_after_its_norm_is_noticed():
    model = tiny.bare("bert")
    wrapped = wrap_model(model, tiny.tokenizer())
    assert "W_O" in checks_of(capture(wrapped, tiny.SENTENCE))
    model.encoder.layer[0].attention.register_forward_hook(more)
    assert "W_O" not in checks_of(capture(wrapped, tiny.SENTENCE))


# --- given back


def state(model):
    """All that wrapping may touch: hooks, flags, the attention function, every number."""
    modules = list(model.modules())
    return (
        [(len(m._forward_hooks), len(m._forward_pre_hooks), len(m._forward_hooks_with_kwargs)) for m in modules],
        [m.training for m in modules],
        [m.config._attn_implementation for m in modules if hasattr(m, "config")],
        {name: tensor.clone() for name, tensor in model.state_dict().items()},
    )


def same(before, after):
    assert before[:3] == after[:3]
    assert before[3].keys() == after[3].keys()
    assert all(torch.equal(before[3][name], after[3][name]) for name in before[3])


@pytest.mark.parametrize(
    ("architecture", "sizes"),
    [
        ("LlamaForCausalLM", LLAMA),
        ("BertForMaskedLM", tiny.FAMILIES["bert"][1]),
        ("T5ForConditionalGeneration", tiny.FAMILIES["t5"][1]),
        ("BartForSequenceClassification", tiny.FAMILIES["bart"][1]),  # its decoder is watched too
    ],
)
def test_leaving_it_gives_the_model_back_as_it_was(architecture, sizes):
    model = causal(architecture, sizes).train()
    model.set_attn_implementation("eager")
    before = state(model)
    with wrap_model(model, tiny.tokenizer()) as wrapped:
        reads_a_target = wrapped.facts.encoder_decoder and wrapped.task is None
        trace = capture(wrapped, tiny.SENTENCE, target="the dog" if reads_a_target else None)
        assert not model.training
    same(before, state(model))
    assert all(check.holds for check in trace.proof(0, 0))  # the trace outlives it
    with pytest.raises(ModelError, match="given back to its owner"):
        capture(wrapped, tiny.SENTENCE)
    again = wrap_model(model, tiny.tokenizer())
    capture(again, tiny.SENTENCE)
    again.unwrap()
    again.unwrap()
    same(before, state(model))


def test_after_unwrapping_the_caller_has_his_attentions_again():
    model = causal()
    model.set_attn_implementation("eager")
    before = model(input_ids=IDS, output_attentions=True).attentions
    with wrap_model(model, tiny.tokenizer()) as wrapped:
        capture(wrapped, tiny.SENTENCE)
    after = model(input_ids=IDS, output_attentions=True).attentions
    assert len(after) == len(before) == 2
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_what_the_caller_chooses_while_it_is_wrapped_is_his_and_the_next_capture_is_right():
    model = causal()
    wrapped = wrap_model(model, tiny.tokenizer())
    first = capture(wrapped, tiny.SENTENCE)
    model.set_attn_implementation("eager")
    assert len(model(input_ids=IDS, output_attentions=True).attentions) == 2
    model.train()
    second = capture(wrapped, tiny.SENTENCE)
    for one, other in zip(first.layers, second.layers, strict=True):
        torch.testing.assert_close(one.output, other.output, rtol=0, atol=0)
    wrapped.unwrap()
    assert model.config._attn_implementation == "eager" and model.training


def test_a_model_in_training_with_dropout_is_captured_without_it():
    model = tiny.bare("bert", attention_probs_dropout_prob=0.5, hidden_dropout_prob=0.5).train()
    one, other = (capture(wrap_model(model, tiny.tokenizer()), tiny.SENTENCE) for _ in range(2))
    assert torch.equal(one.layers[1].output, other.layers[1].output)


# --- what is no plain model

# torch's compiler, imported for the first time, uses what torch has deprecated.
compiling = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


@compiling
def test_of_a_compiled_model_the_one_that_was_compiled_is_run():
    plain = causal()
    want = capture(wrap_model(plain, tiny.tokenizer()), tiny.SENTENCE)
    wrapped = wrap_model(torch.compile(plain), tiny.tokenizer())
    trace = capture(wrapped, tiny.SENTENCE)
    assert wrapped.facts.architecture == "LlamaModel" and wrapped.head is not None
    assert "was compiled" in wrapped.report.listed[0]
    assert torch.equal(trace.layers[1].output, want.layers[1].output)


@compiling
def test_a_model_that_compiled_itself_is_run_as_it_is_written_and_compiled_again_afterwards():
    model = causal()
    model.model.compile()
    compiled = model.model._compiled_call_impl
    with wrap_model(model, tiny.tokenizer()) as wrapped:
        assert all(check.holds for check in capture(wrapped, tiny.SENTENCE).proof(0, 0))
    assert model.model._compiled_call_impl is compiled


def half_compiled():
    model = causal()
    model.model.layers[0] = torch.compile(model.model.layers[0])
    return model


class Classifier(nn.Module):
    """Somebody's own module around a transformers model, without a config."""

    def __init__(self):
        super().__init__()
        self.encoder, self.out = tiny.bare("bert"), nn.Linear(15, 2)


@compiling
@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: nn.Linear(3, 5), "is none, and holds none"),
        (Classifier, r"get_submodule\('encoder'\)"),
        (lambda: nn.DataParallel(causal()), r"get_submodule\('module'\)"),
        (lambda: "gpt2", "load_model opens a name"),
        (half_compiled, "model.layers.0 of this LlamaForCausalLM is compiled by itself"),
        (
            lambda: adapted(peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)),
            "PROMPT_TUNING.*no token stands",
        ),
        (
            lambda: adapted(peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)),
            "PREFIX_TUNING.*no token stands",
        ),
    ],
)
def test_what_cannot_be_captured_is_refused_with_what_to_do(make, sentence):
    with pytest.raises(ModelError, match=sentence):
        wrap_model(make(), tiny.tokenizer())


@pytest.mark.parametrize("tokenizer", [None, "gpt2"])
def test_a_model_without_its_tokenizer_is_refused_and_left_as_it_was(tokenizer):
    model = causal().train()
    before = state(model)
    with pytest.raises(ModelError, match="needs the tokenizer"):
        wrap_model(model, tokenizer)
    same(before, state(model))
