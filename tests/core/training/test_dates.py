"""Dates: how dates are written, which are held out, what is measured, the recipe on a tiny scale."""

import json
from datetime import date
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from attention_core import capture, continue_text, load_model
from attention_core.training.__main__ import main
from attention_core.training.dates.drawn import (
    LEFT_OUT,
    NEAR_YEARS,
    Example,
    batch_at,
    batch_of,
    examples,
    is_held_out,
    new_tokenizer,
    without_accents,
)
from attention_core.training.dates.figures import field_cells, field_figures, right_rows
from attention_core.training.dates.measure import chance_of, measure, readings_of
from attention_core.training.dates.recipe import Recipe, new_model
from attention_core.training.dates.written import FORMS, ISO_FIELDS, OTHER_FORMS, Form, write

SHIPPED = Path(__file__).resolve().parents[3] / "assets" / "models" / "dates"
FIGURES = json.loads((SHIPPED / "figures.json").read_text(encoding="utf-8"))
TINY = Recipe(d_model=12, n_layers=1, n_heads=3, d_inner=13, n_rows=7, n_steps=3)
THIRD_OF_MARCH = date(2021, 3, 3)


@pytest.mark.parametrize(
    ("language", "template", "text"),
    [
        ("english", "the {nth} of {month} {year}", "the 3rd of March 2021"),
        ("french", "{weekday} {nth} {month} {year}", "mercredi 3 mars 2021"),
        ("german", "{weekday}, {nth} {mon} {yy}", "Mittwoch, 3. März 21"),
        ("spanish", "el {day} de {month} de {year}", "el 3 de marzo de 2021"),
        ("", "{dd}/{mm}/{yy}", "03/03/21"),
        ("", "{m}/{day}/{year}", "3/3/2021"),
    ],
)
def test_a_date_is_written_as_people_write_it_and_each_character_knows_its_field(language, template, text):
    written = write(THIRD_OF_MARCH, Form(language, template))
    assert (written.text, written.iso) == (text, "2021-03-03")
    assert len(written.fields) == len(text)
    ((first, end),) = written.spans("year")
    assert text[first:end] in ("2021", "21")


@pytest.mark.parametrize(
    ("day", "said"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (13, "13th"), (21, "21st")]
)
def test_english_days_have_their_endings(day, said):
    assert write(date(2021, 5, day), Form("english", "{nth}")).text == said


def test_bare_slashes_are_ambiguous_where_both_numbers_may_be_a_month_and_differ():
    bare, led = Form("", "{dd}/{mm}/{yy}"), Form("french", "le {dd}/{mm}/{yy}")
    assert bare.ambiguous(date(2021, 4, 3)) and not led.ambiguous(date(2021, 4, 3))
    assert not bare.ambiguous(date(2021, 4, 13)) and not bare.ambiguous(date(2021, 4, 4))
    assert not Form("", "{year}/{mm}/{dd}").ambiguous(date(2021, 4, 3))


def test_what_is_held_out_is_never_drawn_to_train_on():
    trained = examples("trained", 3000, 1)
    assert not any(is_held_out(one.when) or one.when.year % 10 == LEFT_OUT for one in trained)
    assert {one.form for one in trained} <= {form for forms in FORMS.values() for form in forms}
    assert all(is_held_out(one.when) for one in examples("held out", 300, 1))
    assert all(one.when.year % 10 == LEFT_OUT for one in examples("other years", 300, 1))
    assert not any(1700 <= one.when.year <= 2299 for one in examples("far years", 300, 1))
    first, last = NEAR_YEARS
    assert all(first <= one.when.year <= last for one in trained if "{yy}" in one.form.template)
    assert not {form for forms in FORMS.values() for form in forms} & set(OTHER_FORMS)


def test_the_same_seed_draws_the_same_dates_and_every_character_has_a_token():
    tokenizer = new_tokenizer()
    first, again = (batch_at(1, 5, 61, tokenizer) for _ in range(2))
    assert torch.equal(first.source, again.source) and torch.equal(first.labels, again.labels)
    assert not (first.source == tokenizer.unk_token_id).any()
    assert not torch.equal(first.labels, batch_at(1, 6, 61, tokenizer).labels)
    assert tokenizer.decode(tokenizer("Août 3", add_special_tokens=False)["input_ids"]) == "Août 3"
    assert without_accents("miércoles março") == "miercoles marco"


def test_letters_and_digits_that_stand_together_are_one_word():
    assert new_tokenizer()("3 mars 21").word_ids() == [0, 1, 2, 2, 2, 2, 3, 4, 4]


def test_the_decoder_is_given_the_date_moved_right_by_one():
    tokenizer = new_tokenizer()
    (one,) = examples("trained", 1, 3)
    batch = batch_of((one,), tokenizer)
    assert tokenizer.decode(batch.labels[0]) == one.written.iso + "</s>"
    assert tokenizer.decode(batch.target[0]) == "<s>" + one.written.iso


def test_the_cells_of_a_field_are_those_of_its_characters():
    """3/4/21, day first: the year stands at characters 4 and 5, the month at 2, the day at 0."""
    form, when = Form("", "{day}/{m}/{yy}"), date(2021, 4, 3)
    cells = field_cells((Example(write(when, form), form, when),), 7)[0]
    wanted = {"year": [4, 5], "month": [2], "day": [0], "": []}
    for query, field in enumerate((*ISO_FIELDS, "")):
        assert cells[query].nonzero()[:, 0].tolist() == wanted[field]


class Pointing(torch.nn.Module):
    """Its one cross-attention head looks at the first key always."""

    def __init__(self) -> None:
        super().__init__()
        self.config = type("Config", (), {"_attn_implementation": "eager"})()

    def set_attn_implementation(self, name: str) -> None:
        """Nothing to choose from."""

    def forward(self, input_ids, decoder_input_ids, **_):
        weights = torch.zeros(len(input_ids), 1, decoder_input_ids.shape[1], input_ids.shape[1])
        weights[..., 0] = 1
        return type("Output", (), {"cross_attentions": (weights,)})()


def test_a_head_that_looks_at_the_first_character_is_right_for_the_field_that_begins():
    """ISO dates: the first character is the year's, so 4 of 8 digits are right, and of another date just as many."""
    chosen = tuple(one for one in examples("held out", 500, 1) if one.form.template == "{year}-{mm}-{dd}")
    assert len(chosen) >= 3
    found = field_figures(Pointing(), chosen, new_tokenizer(), 1)
    assert found.right.item() == 0.5 == found.elsewhere.item()
    assert found.by_field[:, 0, 0].tolist() == [1, 0, 0]
    assert found.even == pytest.approx((4 * 4 + 2 * 2 + 2 * 2) / 8 / 10)
    assert found.n == 8 * len(chosen)


def test_an_ambiguous_date_has_two_readings_and_their_chances_are_products():
    ambiguous = tuple(one for one in examples("held out", 400, 1) if one.ambiguous)
    first, second = (readings_of(ambiguous, day_first=way) for way in (True, False))
    for day_first, month_first, one in zip(first, second, ambiguous, strict=True):
        assert {one.written.iso} <= {day_first.written.iso, month_first.written.iso}
        assert day_first.when.day == month_first.when.month == int(one.written.text.split("/")[0])
    tokenizer = new_tokenizer()
    model = new_model(TINY, tokenizer).eval()
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    batch = batch_of(first[:5], tokenizer)
    torch.testing.assert_close(chance_of(model, batch), torch.full((5,), len(tokenizer) ** -11.0, dtype=torch.float64))
    assert not right_rows(model, batch).any()


def test_the_command_trains_goes_on_and_prints_its_figures(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("attention_core.training.dates.measure.N_DATES", 60)
    sizes = "--d-model 12 --n-layers 1 --n-heads 3 --d-inner 13 --n-rows 7".split()
    command = ["--model", "dates", "--out", str(tmp_path / "model"), *sizes]
    main([*command, "--n-steps", "2"])
    first = json.loads((tmp_path / "model" / "figures.json").read_text(encoding="utf-8"))
    assert "reads the right field" in capsys.readouterr().out
    main([*command, "--n-steps", "3"])
    assert "from step 2" in capsys.readouterr().out
    second = json.loads((tmp_path / "model" / "figures.json").read_text(encoding="utf-8"))
    assert first["clear held out"] == second["clear held out"] <= 60
    main([*command, "--measure"])
    again = json.loads((tmp_path / "model" / "figures.json").read_text(encoding="utf-8"))
    assert again["field_even"] == pytest.approx(second["field_even"])
    assert again["field"] == pytest.approx(second["field"])


# --- the model that is shipped ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped():
    from transformers import BartForConditionalGeneration

    return BartForConditionalGeneration.from_pretrained(SHIPPED, dtype=torch.float32).eval()


def test_the_shipped_model_opens_by_name_and_every_head_is_proved():
    model = load_model("dates")
    assert model.facts.architecture == "BartModel" and model.facts.encoder_decoder
    assert sum(file.stat().st_size for file in SHIPPED.rglob("*") if file.is_file()) <= 6_000_000
    trace = capture(model, "the 4th of March 2021", target="2021-03-04")
    assert [layer.kind for layer in trace.layers].count("cross") == 2
    for layer in range(len(trace.layers)):
        for head in range(model.facts.n_heads):
            assert all(check.holds for check in trace.proof(layer, head))


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("the 3rd of March 2021", "2021-03-03"),
        ("03/03/21", "2021-03-03"),
        ("mercredi 3 mars 2021", "2021-03-03"),
        ("am 14. Juli 1789", "1789-07-14"),
        ("el 12 de octubre de 1992", "1992-10-12"),
    ],
)
def test_the_shipped_model_writes_dates(text, iso):
    assert "".join(continue_text(load_model("dates"), text, 10).text.split()) == iso


@pytest.mark.slow
def test_the_shipped_model_has_the_figures_of_its_card(shipped):
    """All figures of the command, measured again: nothing but the recipe's seed is needed."""
    found = measure(shipped, AutoTokenizer.from_pretrained(SHIPPED), Recipe().seed)
    assert set(found) == set(FIGURES)
    for name, value in found.items():
        if isinstance(value, float):
            assert value == pytest.approx(FIGURES[name], abs=2e-3), name
    assert found["field_head"] == FIGURES["field_head"]


def test_the_figures_hold_what_was_asked():
    assert FIGURES["right held out"] >= 0.99
    assert FIGURES["field"] >= 0.9 and FIGURES["field_even"] < 0.3
    # Dates of one length mostly have one form, so place alone goes far: reading this date must go much further.
    assert FIGURES["field"] > FIGURES["field_elsewhere"] + 0.15
    assert FIGURES["neither"] <= 0.02


def test_the_card_says_the_figures_that_were_printed():
    card, f = (SHIPPED / "README.md").read_text(encoding="utf-8"), FIGURES
    for text in (
        f"{f['parameters']:,} parameters",
        *(
            f"| {f[f'right {kind}']:.2%} | {f[f'clear {kind}']:,} |"
            for kind in ("held out", "other years", "far years", "other forms")
        ),
        "layer {}, head {}".format(*f["field_head"]),
        f"| {f['field']:.1%} | {f['field_elsewhere']:.1%} | {f['field_even']:.1%} |",
        *(f"{name} {f[f'field_{name}']:.1%}" for name in ("year", "month", "day")),
        f"day first {f['day_first']:.3f}, month first {f['month_first']:.3f}",
    ):
        assert text in card, text
