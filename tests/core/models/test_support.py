"""The support matrix: a sample of families on every run, and docs/support.md against the installed transformers.

`make matrix` checks all of them.
"""

import pytest

from tests.commands.matrix.architectures import text_model_types
from tests.commands.matrix.checking import check
from tests.commands.matrix.table import BESIDE, COLUMNS, FIELDS, FILE, counted, row, rows_of

SAVED = rows_of(FILE.read_text(encoding="utf-8"))

EXACT = (
    "bert roberta albert distilbert electra modernbert "
    "gpt2 gpt_neox opt llama mistral mixtral qwen2 qwen3 gemma gemma2 gemma3_text phi3 olmo2 stablelm cohere glm4 "
    "gpt_oss deepseek_v2 deepseek_v3 granite smollm3 "
    "t5 mt5 bart mbart marian m2m_100 pegasus"
).split()
WEIGHTS_ONLY = "mpnet deberta bloom falcon led".split()
BESIDE_TOO = "roberta mpnet gpt2 t5 mbart marian".split()  # text to tokens, longest text and readouts as well


@pytest.mark.filterwarnings("ignore")  # transformers' own, about sizes that are too small to be real
@pytest.mark.parametrize("model_type", [*EXACT, *WEIGHTS_ONLY])
def test_a_tiny_random_model_is_captured_as_the_saved_table_says(model_type):
    result = check(model_type, every_head=False, beside=model_type in BESIDE_TOO)
    assert result.outcome == ("exact" if model_type in EXACT else "weights only"), result.why
    if model_type in EXACT:
        assert {"mask", "weights", "output"} <= set(result.steps.split())
    cells = tuple(cell.strip() for cell in row(result.as_json()).strip("|").split(" | "))
    columns = [i for i, name in enumerate(COLUMNS) if model_type in BESIDE_TOO or name not in BESIDE]
    assert [cells[i] for i in columns] == [SAVED[model_type][i] for i in columns]


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


def test_nothing_beside_the_attention_differs():
    differs = {name: cells for name, cells in SAVED.items() if any("✗" in cell for cell in cells)}
    assert not differs


def test_the_counts_of_what_is_beside_the_attention_are_those_of_the_table():
    places = [COLUMNS.index(column) for column in BESIDE]
    results = [dict(zip(FIELDS, (cells[i] for i in places), strict=True)) for cells in SAVED.values()]
    text = FILE.read_text(encoding="utf-8")
    lines = counted(results)
    assert len(lines) >= 5 and all(line in text for line in lines)


def test_every_padded_table_is_read_to_its_last_place():
    """64 rows: two of them, or one, stand for no place."""
    longest = COLUMNS.index("longest text")
    for name in "roberta xlm-roberta camembert data2vec-text xmod mpnet luke ibert layoutlmv3".split():
        assert SAVED[name][longest] == "62"
    for name in "esm lilt markuplm".split():
        assert SAVED[name][longest] == "63"
    assert SAVED["bert"][longest] == "64" and SAVED["led"][longest].startswith("64; decoder")
