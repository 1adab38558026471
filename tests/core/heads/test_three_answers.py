"""A name, "unlabelled", "could not be tested, because …": each where it is true, and the same from everybody asked."""

import csv
import io

import pandas
import pytest
import torch

from attention_core import capture
from attention_core.capturing.encode import special_ids
from attention_core.capturing.vocabulary import plain_ids
from attention_core.heads.cards import Answer, LabelCard
from attention_core.heads.labelling import Labelling, label_heads
from attention_core.heads.probes import own_texts, repeat_probes
from attention_core.heads.scores import head_scores
from attention_core.heads.windows import Text
from attention_core.models.facts import LoadedModel
from attention_core.models.loading import load_model
from attention_core.survey.survey import Survey
from attention_core.survey.table import SurveyTable
from tests.support.known_heads import SPECIALS, bracketed_tokenizer, molecules, neighbour_model
from tests.support.labelled import cards_of
from tests.support.random_models import random_model


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Tiny products: a second thread only waits for the first."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def bracketed() -> LoadedModel:
    return neighbour_model(bracketed_tokenizer())


def surveyed(model: LoadedModel, texts: list[Text], **options) -> Survey:
    survey = Survey(model, texts, **options)
    for _ in survey:
        pass
    return survey


def as_texts(texts: list[str] | tuple[str, ...]) -> list[Text]:
    return [Text(str(i), data=text.encode()) for i, text in enumerate(texts)]


def lines(n: int, **options) -> list[Text]:
    return [Text("molecules.smi", data="\n".join(molecules(n, **options)).encode(), lines=True)]


def neighbours(
    model: LoadedModel, texts: list[str] | tuple[str, ...], least: float = 0.9
) -> dict[tuple[int, int], str]:
    """The heads that put so much on the token before, or after, over the texts: by the metrics, not the tests."""
    mean = torch.stack([head_scores(capture(model, text)).values for text in texts]).mean(dim=0)
    heads = head_scores(capture(model, texts[0])).heads
    return {
        place: name
        for name, column in (("previous", 0), ("next", 1))
        for place, value in zip(heads, mean[:, column].tolist(), strict=True)
        if value >= least
    }


def test_pieces_in_brackets_are_ordinary_ones(bracketed):
    n_pieces = len(bracketed.tokenizer) - len(SPECIALS)
    assert len(plain_ids(bracketed, bracketed.tokenizer)) == n_pieces
    assert {probe.length for probe in repeat_probes(bracketed, (16, 64))} == {16, 64}


def test_a_piece_that_the_tokenizer_marks_special_is_special_however_it_looks():
    tokenizer = bracketed_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["kept"]})
    model = neighbour_model(tokenizer)
    kept = tokenizer.convert_tokens_to_ids("kept")
    assert kept in special_ids(tokenizer)
    assert kept not in plain_ids(model, tokenizer)


@pytest.mark.slow
def test_every_neighbour_head_of_a_bracketed_vocabulary_is_labelled_without_and_with_its_own_texts(bracketed):
    texts = molecules(12)
    wanted = {(0, 0): "previous", (0, 1): "next"}
    assert neighbours(bracketed, texts) == wanted
    labelling = Labelling(bracketed)
    for _ in labelling:
        pass
    assert labelling.rests_on == "random tokens of its vocabulary at 16 and 64 tokens"
    for cards in (labelling.cards(), label_heads(bracketed, texts), surveyed(bracketed, lines(12)).cards()):
        assert {place: card.label for place, card in cards.items() if card.label} == wanted
        assert cards[0, 0].held("previous") == cards[0, 1].held("next") == (16, 64)
        assert cards[0, 2].answer is Answer.UNLABELLED


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("name", "least", "known"), [("minilm", 0.9, (0, 2)), ("storyteller", 0.6, (1, 3))])
def test_every_neighbour_head_of_a_trained_model_is_labelled_and_survey_and_notebook_agree_on_every_head(
    name: str, least: float, known: tuple[int, int], tmp_path_factory
):
    """MiniLM's 0.2 puts 1.00 on the token before in texts of some 80 tokens, and 0.83 in those of 256.

    The Storyteller's strongest puts 0.65 there: none reaches 0.9, so less is asked for.
    """
    model = load_model(name)
    texts = own_texts(model)
    cards = cards_of(name, tmp_path_factory)
    found = neighbours(model, [text[:400] for text in texts], least)
    assert found[known] == "previous"
    for place, label in found.items():
        assert label in cards[place].labels
    assert surveyed(model, as_texts(texts)).cards() == cards


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
@pytest.mark.slow
def test_survey_and_notebook_agree_on_every_head_of_a_random_model_to_the_last_bit(architecture: str):
    model = random_model(architecture, 3, 0.3, n_layers=1, n_heads=3)
    cards = label_heads(model)
    assert surveyed(model, as_texts(own_texts(model))).cards() == cards
    other = " ".join(own_texts(model)[:9])  # one long text, in windows
    assert surveyed(model, as_texts([other])).cards() == label_heads(model, [other]) != cards


def test_what_the_labels_rest_on_is_said_where_texts_differ():
    model = random_model("bert", 3, 0.3, n_layers=1, n_heads=3)
    assert Labelling(model).rests_on == "16 texts of our own at 16 and 64 tokens"
    text = " ".join(own_texts(model)[:9])
    assert Labelling(model, [text]).rests_on == f"{len_of(model, text)} texts at 16 and 64 tokens"


def len_of(model: LoadedModel, text: str) -> int:
    return surveyed(model, as_texts([text])).n_windows


def untested(model: LoadedModel, texts=None) -> LabelCard:
    return label_heads(model, texts)[0, 0]


@pytest.mark.parametrize(
    ("pieces", "limit", "why"),
    [
        (90, 8, "the shortest test needs 12 tokens, and fewer are read at once"),
        (5, 64, "the tokenizer knows too few words of the texts"),
    ],
)
def test_a_head_that_could_not_be_tested_is_not_called_unlabelled(pieces: int, limit: int, why: str):
    card = untested(neighbour_model(bracketed_tokenizer(pieces, limit)))
    assert card.answer is Answer.UNTESTED
    assert card.name == "could not be tested"
    assert why in card.because
    assert card.label is None and card.evidence == ()


def test_tests_that_could_not_be_made_are_said_beside_those_that_could():
    card = untested(neighbour_model(bracketed_tokenizer(40, 64)))
    assert card.answer is Answer.NAMED
    missing = {one.label: one.because for one in card.untested}
    assert missing["induction"] == missing["duplicate"]
    assert missing["induction"].startswith("the vocabulary has 40 pieces beside the special ones, and 64")
    assert "random tokens are no words" in missing["punctuation"]
    few = untested(neighbour_model(bracketed_tokenizer()), molecules(3))
    assert {one.length: one.because for one in few.untested if one.label == "previous"} == {
        length: f"3 texts of about {length} tokens or more came, and 8 are needed" for length in (16, 64)
    }


def test_a_label_says_at_which_lengths_it_holds():
    """Lines of 20 tokens are no texts of 64."""
    model = neighbour_model(bracketed_tokenizer())
    card = surveyed(model, lines(9, length=18)).cards()[0, 0]
    assert card.held("previous") == card.tested("previous") == (16,)
    assert [(one.length, one.because) for one in card.untested if one.label == "previous"] == [
        (64, "0 texts of about 64 tokens or more came, and 8 are needed")
    ]


@pytest.fixture(scope="module")
def table(bracketed) -> SurveyTable:
    return surveyed(bracketed, lines(9)).table()


@pytest.fixture(scope="module")
def nothing_tested() -> SurveyTable:
    model = neighbour_model(bracketed_tokenizer(5, 64))
    return surveyed(model, lines(2, n_pieces=5)).table()


def answers(found: pandas.DataFrame) -> list[tuple[str, object, bool]]:
    """Name, whether labelled (None: not tested) and whether a reason is given, of each head."""
    rows = found[found.measure == "answer"]
    plain = rows.astype(object).where(rows.notna(), None)
    return [
        (row["id"] or "", None if row["labelled"] is None else bool(row["labelled"]), bool(row["because"]))
        for row in plain.to_dict("records")
    ]


def opened(table: SurveyTable, kind: str) -> pandas.DataFrame:
    if kind == "csv":
        return pandas.read_csv(io.BytesIO(table.to_csv()))
    return pandas.read_parquet(io.BytesIO(table.to_parquet()))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_table_has_each_of_the_three_answers(table, nothing_tested, kind: str):
    assert answers(opened(table, kind)) == [("previous", True, False), ("next", True, False), ("", False, False)]
    found = opened(nothing_tested, kind)
    assert answers(found) == [("", None, True)] * 3
    induction = found[(found.measure == "label") & (found.id == "induction")]
    assert len(induction) == 3
    assert induction.labelled.isna().all() and (induction.n == 0).all()
    assert induction.because.str.startswith("the vocabulary has 5 pieces").all()


def test_no_test_is_missing_from_the_table_without_a_word(table):
    rows = [row for row in csv.DictReader(io.StringIO(table.to_csv().decode())) if row["measure"] == "label"]
    for head in range(3):
        own = [row for row in rows if row["head"] == str(head)]
        assert {row["id"] for row in own} == {
            *("induction", "duplicate", "previous", "next", "same"),
            *("punctuation", "rare", "positional", "separator", "first"),
        }
        assert all(row["labelled"] or row["because"] for row in own)
