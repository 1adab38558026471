"""transformers: which attention runs, what the modelling code says, which classes there are, what loading renames."""

import inspect
import json
import re
import subprocess
import sys

import pytest
import torch
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    AutoModel,
    BartConfig,
    BertConfig,
    BertModel,
    BigBirdConfig,
    BigBirdModel,
    BloomConfig,
    CLIPVisionModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaModel,
    MBartConfig,
    T5Config,
    T5EncoderModel,
    T5ForConditionalGeneration,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from attention_core.inside import of_torch, of_transformers
from attention_core.text import chat_child
from tests.support import tiny

pytestmark = pytest.mark.reliance


def llama_attention() -> torch.nn.Module:
    return tiny.bare("llama").layers[0].self_attn


# --- which attention runs


def test_transformers_classes_say_whether_sdpa_computes_what_they_do():
    assert of_transformers.supports_sdpa(tiny.bare("llama"))
    with torch.device("meta"):
        assert not of_transformers.supports_sdpa(AutoModel.from_config(BloomConfig(n_layer=1)))


def test_transformers_a_configuration_says_and_is_told_which_attention_runs():
    model = tiny.bare("bert")
    model.set_attn_implementation("eager")
    assert of_transformers.attention_of(model.config) == "eager"
    config = BertConfig(num_hidden_layers=1, hidden_size=4, num_attention_heads=1, intermediate_size=4, vocab_size=7)
    of_transformers.set_attention(config, "eager")
    assert of_transformers.attention_of(BertModel(config).config) == "eager"


def test_transformers_what_stands_in_a_configuration_can_be_put_back_to_the_letter():
    config = BertConfig()
    assert of_transformers.names_attention(config) and not of_transformers.names_attention(object())
    before = of_transformers.own_attention(config)
    of_transformers.set_attention(config, "eager")
    assert of_transformers.own_attention(config) == "eager"
    of_transformers.set_own_attention(config, before)
    assert of_transformers.own_attention(config) is before


def test_transformers_its_own_functions_are_those_that_run_for_eager_and_sdpa():
    """`sdpa_attention_forward` is what "sdpa" calls; the masks are those that go with the two names."""
    assert AttentionInterface()["sdpa"] is of_transformers.sdpa_attention_forward
    given = inspect.signature(of_transformers.sdpa_attention_forward).parameters
    assert [*given][:5] == ["module", "query", "key", "value", "attention_mask"]
    sdpa = of_transformers.sdpa_mask(batch_size=1, q_length=3, kv_length=3, allow_is_causal_skip=False)
    eager = of_transformers.eager_mask(batch_size=1, q_length=3, kv_length=3)
    looks_back = torch.ones(3, 3).tril().bool()
    assert sdpa.dtype == torch.bool and torch.equal(sdpa[0, 0], looks_back)
    assert torch.equal(eager[0, 0] == 0, looks_back)
    assert bool((eager[0, 0][~looks_back] == torch.finfo(eager.dtype).min).all())


def test_transformers_sparse_models_pass_their_choice_of_keys_on_by_a_keyword():
    """DeepSeek's `indices` [batch, query, chosen], to a function under any name but "eager" and "sdpa"."""
    sizes = {
        "num_hidden_layers": 1,
        "first_k_dense_replace": 1,
        "index_topk": 3,
        "index_head_dim": 8,
        "index_n_heads": 2,
    }
    model = tiny.random_model("DeepseekV32Model", **{**tiny.FAMILIES["deepseek-v3"][1], **sizes})
    shapes = []

    def notes(module, query, key, value, attention_mask, **keywords):
        shapes.append(tuple(keywords["indices"].shape))
        mask = of_transformers.narrowed_to_chosen_keys(attention_mask, module, query, key, keywords)
        assert "indices" not in keywords
        return of_transformers.sdpa_attention_forward(module, query, key, value, mask, **keywords)

    AttentionInterface.register("a_test_of_reliances", notes)
    AttentionMaskInterface.register("a_test_of_reliances", of_transformers.sdpa_mask)
    model.set_attn_implementation("a_test_of_reliances")
    with torch.inference_mode():
        model(torch.tensor([[2, 5, 6, 7, 8]]))
    assert shapes == [(1, 5, 3)]


def test_transformers_minimax_makes_a_mask_of_the_blocks_that_its_indexer_chose():
    from transformers.models.minimax_m3_vl import modeling_minimax_m3_vl as file

    (indexer,) = [cls for cls in vars(file).values() if "build_block_mask" in dir(cls)]
    given = list(inspect.signature(indexer.build_block_mask).parameters)
    assert given == "self block_indices attention_mask key_length dtype device position_ids".split()
    source = inspect.getsource(file)
    assert "self.indexer" in source and "block_indices=block_indices" in source


def test_transformers_a_class_declares_what_it_reads():
    assert of_transformers.input_modalities(BertModel) == ("text",)
    assert of_transformers.input_modalities(tiny.bare("bert")) == ("text",)
    assert of_transformers.input_modalities(CLIPVisionModel) == ("image",)


def test_transformers_bigbird_changes_its_attention_for_a_short_text_unless_it_is_kept():
    sizes = dict(vocab_size=19, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    model = BigBirdModel(BigBirdConfig(**sizes, max_position_embeddings=64)).eval()
    assert model.attention_type == "block_sparse"
    kept = of_transformers.keep_attention_type(of_torch.shallow_copy(model))
    kept.set_attention_type("original_full")
    assert (kept.attention_type, model.attention_type) == ("block_sparse", "block_sparse")
    with torch.inference_mode():
        model(torch.zeros(1, 4, dtype=torch.long))
    assert model.attention_type == "original_full"


# --- what the modelling code says


def test_transformers_classes_that_can_be_given_an_attention_name_the_interface():
    assert of_transformers.asks_the_interface(type(llama_attention()))
    bloom = AutoModel.from_config(BloomConfig(vocab_size=19, hidden_size=8, n_layer=1, n_head=2))
    assert not any(of_transformers.asks_the_interface(type(module)) for module in bloom.modules())


def test_transformers_a_file_has_the_eager_attention_that_its_classes_name():
    eager = of_transformers.eager_function(llama_attention())
    assert eager is not None
    given = inspect.signature(eager).parameters
    assert [*given][:5] == ["module", "query", "key", "value", "attention_mask"]
    assert of_transformers.eager_function(torch.nn.Linear(2, 2)) is None


def test_transformers_the_files_of_bart_and_mbart_move_labels_right():
    with torch.device("meta"):
        bart, mbart = AutoModel.from_config(BartConfig()), AutoModel.from_config(MBartConfig())
    moves = of_transformers.shift_tokens_right(bart)
    assert moves is not None and "decoder_start_token_id" in inspect.signature(moves).parameters
    moves = of_transformers.shift_tokens_right(mbart)
    assert moves is not None and "decoder_start_token_id" not in inspect.signature(moves).parameters
    assert of_transformers.shift_tokens_right(tiny.bare("bert")) is None


def test_transformers_t5_moves_labels_right_by_the_start_token_of_its_configuration():
    with torch.device("meta"):
        assert of_transformers.shifts_by_start_token(T5ForConditionalGeneration(T5Config(num_layers=1)))
    assert not of_transformers.shifts_by_start_token(tiny.bare("bert"))


def test_transformers_names_in_a_functions_code_are_those_that_it_uses():
    from transformers import BartForSequenceClassification, BertForSequenceClassification

    assert of_transformers.uses_name(BartForSequenceClassification.forward, "eos_token_id")
    assert not of_transformers.uses_name(BertForSequenceClassification.forward, "eos_token_id")


def test_transformers_the_words_of_a_models_files_are_those_that_its_code_reads():
    """Of shared files too: rotary positions, and masks of those functions alone that the file calls."""
    llama, mistral = of_transformers.words_of(tiny.bare("llama")), of_transformers.words_of(_mistral())
    assert {"rope_parameters", "attention_bias", "rope_theta"} <= llama
    assert "position_embedding_type" not in llama
    assert "sliding_window" in mistral and "sliding_window" not in llama


def _mistral() -> torch.nn.Module:
    from transformers import MistralConfig, MistralModel

    with torch.device("meta"):
        return MistralModel(MistralConfig(num_hidden_layers=1))


def test_transformers_a_configuration_class_reads_what_its_methods_name():
    from transformers import Qwen2Config

    assert "use_sliding_window" in of_transformers.read_by(Qwen2Config)
    assert "use_sliding_window" not in of_transformers.read_by(BertConfig)


# --- which classes there are


def test_transformers_knows_a_configuration_for_each_model_type():
    assert of_transformers.knows_type("bert") and not of_transformers.knows_type("no_such_model")


def test_transformers_has_a_class_for_each_configuration_and_lists_by_use():
    assert of_transformers.usual_classes(BertConfig) == (BertModel,)
    assert of_transformers.usual_classes(dict) == ()
    assert of_transformers.class_names("CAUSAL_LM")["gpt2"] == "GPT2LMHeadModel"
    assert MODEL_FOR_CAUSAL_LM_MAPPING[GPT2Config] is GPT2LMHeadModel
    for use in (
        "SEQ_TO_SEQ_CAUSAL_LM MASKED_LM PRETRAINING SEQUENCE_CLASSIFICATION TOKEN_CLASSIFICATION QUESTION_ANSWERING "
        "MULTIPLE_CHOICE NEXT_SENTENCE_PREDICTION TEXT_ENCODING IMAGE_TEXT_TO_TEXT MULTIMODAL_LM"
    ).split():
        assert of_transformers.class_names(use), use


def test_transformers_keeps_modelling_code_in_a_file_beside_the_configuration():
    files = of_transformers.modelling_files(T5Config())
    assert any(vars(file).get("T5EncoderModel") is T5EncoderModel for file in files)


def test_transformers_builds_any_class_of_a_configuration():
    config = LlamaConfig(vocab_size=19, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    model = of_transformers.from_config(LlamaModel, config, attn_implementation="eager")
    assert type(model) is LlamaModel and of_transformers.attention_of(model.config) == "eager"


# --- what loading renames and leaves out


def test_transformers_what_is_stored_under_the_heads_prefix_has_a_place_in_the_body():
    body = tiny.bare("gpt2")
    places = body.state_dict()
    known = of_transformers.names_in_model(["transformer.wte.weight", "wte.weight", "nowhere.weight"], body, places)
    assert known == {
        "transformer.wte.weight": "wte.weight",
        "wte.weight": "wte.weight",
        "nowhere.weight": "nowhere.weight",
    }


def test_transformers_what_a_class_leaves_out_on_purpose_is_a_list_of_patterns():
    from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

    config = DeepseekV3Config(num_hidden_layers=1, first_k_dense_replace=1)
    with torch.device("meta"):
        patterns = of_transformers.ignored_on_load(DeepseekV3ForCausalLM(config))
    assert any(re.search(pattern, "model.layers.61.eh_proj.weight") for pattern in patterns)  # of what guesses ahead
    assert not any(re.search(pattern, "model.layers.6.mlp.gate_proj.weight") for pattern in patterns)


def test_transformers_weights_that_are_one_are_named_with_where_they_are_stored():
    assert of_transformers.tied_weights(GPT2LMHeadModel) == {"lm_head.weight": "transformer.wte.weight"}
    assert of_transformers.tied_weights(BertModel) == {}


# --- what a process of its own renders


def test_transformers_renders_a_chat_template_without_a_tokenizer():
    """`render_jinja_template`, in a Python that can import nothing of ours."""
    template = "{% for m in messages %}{{ bos }}{{ m.content }}{% endfor %}{% if add_generation_prompt %}>{% endif %}"
    asked = {"template": template, "messages": [{"role": "user", "content": "hello"}], "tokens": {"bos": "<s>"}}
    done = subprocess.run(
        [sys.executable, "-I", chat_child.__file__], input=json.dumps(asked), capture_output=True, text=True
    )
    assert json.loads(done.stdout) == {"prompt": "<s>hello>"}
