"""Every engine in its turn, and tiny models in folders that each of them opens."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pages.shared.engine.engine import Engine
from pages.shared.engine.local import LocalEngine
from pages.shared.engine.process import ProcessEngine
from pages.shared.process.settings import from_environment
from pages.shared.service.service import service
from tests.support import tiny
from tests.support.random_models import random_model

ENGINES = ("local", "process")


@pytest.fixture(scope="package", params=ENGINES)
def engine(request) -> Iterator[Engine]:
    settings = replace(from_environment(), folders=True)
    if request.param == "local":
        before, service().settings = service().settings, settings
        made: Engine = LocalEngine(service())
    else:
        before, made = service().settings, ProcessEngine(settings)
    made.start().result()
    yield made
    made.close()
    service().settings = before


@pytest.fixture(scope="package")
def speakers(tmp_path_factory) -> dict[str, str]:
    """Folders of tiny models with language heads, by family."""
    root = tmp_path_factory.mktemp("speakers")
    heads = {"gpt2": "GPT2LMHeadModel", "bert": "BertForMaskedLM", "bart": "BartForConditionalGeneration"}
    for name, architecture in heads.items():
        tiny.random_model(architecture, **tiny.FAMILIES[name][1]).save_pretrained(root / name)  # pyright: ignore[reportArgumentType]
        tiny.tokenizer(specials=name != "gpt2").save_pretrained(root / name)
    return {name: str(root / name) for name in heads}


@pytest.fixture(scope="package")
def probed(tmp_path_factory) -> str:
    """A folder of a tiny encoder that can read the probe texts."""
    folder: Path = tmp_path_factory.mktemp("probed") / "bert"
    model = random_model("bert", 3, 0.3, n_layers=1, n_heads=3)
    model.model.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return str(folder)
