"""Which function observes a model, decided by what the model's code says of itself."""

import pytest
import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.models.tipsv2 import modeling_tipsv2

from attention_core import capture
from attention_core.models.loading import wrap_model
from attention_core.observe import interface as functions
from tests.support import tiny

N_QUERY, N_KEY, N_CHOSEN = 5, 7, 3


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("bert", functions.SDPA),
        ("gemma2", functions.EAGER),  # soft-cap: SDPA has none
        ("gpt-oss", functions.EAGER),  # sink logit: SDPA ignores it without a word
        ("bloom", "eager"),  # does not ask the interface
    ],
)
def test_a_model_is_observed_as_its_authors_support_it(name, chosen):
    assert functions.choose_attention(tiny.bare(name)) == chosen


class ReadsImages(PreTrainedModel):
    config_class = None
    input_modalities = ("image",)

    def __init__(self):
        nn.Module.__init__(self)
        self.inner = nn.Linear(3, 3)


def test_an_inner_model_for_images_has_no_say():
    model = tiny.bare("bloom")
    model.vision = ReadsImages()
    modules = set(functions.text_modules(model))
    assert model.h[0] in modules
    assert model.vision not in modules
    assert model.vision.inner not in modules


def test_the_eager_function_is_the_one_that_the_modules_own_code_names():
    """This file has one for images, with the usual name, and one for text."""
    attention = modeling_tipsv2.Tipsv2TextAttention.__new__(modeling_tipsv2.Tipsv2TextAttention)
    assert functions.eager_function(attention) is modeling_tipsv2.text_eager_attention_forward
    assert modeling_tipsv2.text_eager_attention_forward is not modeling_tipsv2.eager_attention_forward


@pytest.mark.parametrize("kind", ["booleans", "numbers"])
def test_the_keys_that_a_sparse_model_picks_narrow_its_mask(kind):
    """Each query may read its 3 chosen keys, and of those only what the mask allows."""
    query, key = torch.zeros(1, 2, N_QUERY, 2), torch.zeros(1, 2, N_KEY, 2)
    indices = torch.stack([torch.randperm(N_KEY)[:N_CHOSEN] for _ in range(N_QUERY)])[None]
    allowed = torch.rand(1, 1, N_QUERY, N_KEY) > 0.3
    lowest = torch.finfo(torch.float32).min
    mask = allowed if kind == "booleans" else torch.zeros(allowed.shape).masked_fill(~allowed, lowest)
    keywords = {"indices": indices, "scaling": 1.0}
    narrowed = functions.narrowed_to_chosen_keys(mask, nn.Identity(), query, key, keywords)
    assert keywords == {"scaling": 1.0}
    expected = [[allowed[0, 0, i, j].item() and j in indices[0, i] for j in range(N_KEY)] for i in range(N_QUERY)]
    found = narrowed if kind == "booleans" else narrowed == 0
    assert found[0, 0].tolist() == expected


def test_a_sparse_models_trace_equals_its_own_sdpa():
    """DeepSeek V3.2 folds its choice into the mask for "sdpa" alone; under our name it must come to the same."""
    sizes = {
        **tiny.FAMILIES["deepseek-v3"][1],
        "num_hidden_layers": 1,
        "first_k_dense_replace": 1,
        "index_topk": 3,
        "index_head_dim": 8,
        "index_n_heads": 2,
    }
    plain = tiny.random_model("DeepseekV32Model", **sizes)
    plain.set_attn_implementation("sdpa")
    ids = torch.tensor([[2, 5, 6, 7, 8, 9, 3]])
    with torch.inference_mode():
        expected = plain(ids).last_hidden_state
        plain.set_attn_implementation(functions.SDPA)
        assert torch.equal(plain(ids).last_hidden_state, expected)
    layer = capture(wrap_model(plain, tiny.tokenizer()), tiny.SENTENCE).layers[0]
    allowed = layer.allowed(0)
    assert allowed is not None
    assert allowed.sum(dim=-1).max() == 3
