"""The support matrix: a sample of families on every run, and docs/support.md against the installed transformers.

`make matrix` checks all of them.
"""

import pytest

from tests.matrix.architectures import text_model_types
from tests.matrix.checking import check
from tests.matrix.table import FILE, row, rows_of

SAVED = rows_of(FILE.read_text(encoding="utf-8"))

EXACT = (
    "bert roberta albert distilbert electra modernbert "
    "gpt2 gpt_neox opt llama mistral mixtral qwen2 qwen3 gemma gemma2 gemma3_text phi3 olmo2 stablelm cohere glm4 "
    "gpt_oss deepseek_v2 deepseek_v3 granite smollm3 "
    "t5 mt5 bart mbart marian m2m_100 pegasus"
).split()
WEIGHTS_ONLY = "mpnet deberta bloom falcon led".split()


@pytest.mark.filterwarnings("ignore")  # transformers' own, about sizes that are too small to be real
@pytest.mark.parametrize("model_type", [*EXACT, *WEIGHTS_ONLY])
def test_a_tiny_random_model_is_captured_as_the_saved_table_says(model_type):
    result = check(model_type, every_head=False)
    assert result.outcome == ("exact" if model_type in EXACT else "weights only"), result.why
    if model_type in EXACT:
        assert {"mask", "weights", "output"} <= set(result.steps.split())
    cells = tuple(cell.strip() for cell in row(result.as_json()).strip("|").split(" | "))
    assert cells == SAVED[model_type]


def test_the_saved_table_names_every_text_architecture_of_the_installed_transformers():
    assert list(SAVED) == list(text_model_types())


def test_at_least_180_architectures_are_exact_and_none_is_wrong():
    outcomes = [cells[1] for cells in SAVED.values()]
    assert outcomes.count("exact") >= 180
    assert "wrong" not in outcomes


def test_whatever_is_not_exact_says_why():
    assert all(cells[-1] for cells in SAVED.values() if cells[1] != "exact")


def test_the_counts_above_the_table_are_those_of_the_table():
    text = FILE.read_text(encoding="utf-8")
    for outcome in {cells[1] for cells in SAVED.values()}:
        n = sum(cells[1] == outcome for cells in SAVED.values())
        assert f"| {outcome} | {n} |" in text
