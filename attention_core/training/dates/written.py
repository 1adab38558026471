"""Dates as people write them in four languages, each piece with the field that it tells.

    written = write(date(2021, 3, 3), Form("french", "le {day} {month} {year}"))
    written.text            # "le 3 mars 2021"
    written.spans("year")   # ((10, 14),): characters, the end excluded
    written.iso             # "2021-03-03"

Forms are templates: {weekday} {day} {dd} {nth} {month} {mon} {m} {mm} {year} {yy}; every other character is itself.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Literal

Field = Literal["year", "month", "day", "weekday", ""]
FIELDS: tuple[Field, ...] = ("year", "month", "day")
ISO_FIELDS: tuple[Field, ...] = ("year", "year", "year", "year", "", "month", "month", "", "day", "day")

_NAMES = {
    "english": (
        "January February March April May June July August September October November December",
        "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
        "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    ),
    "french": (
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
        "lundi mardi mercredi jeudi vendredi samedi dimanche",
    ),
    "german": (
        "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
        "Jan. Feb. März Apr. Mai Juni Juli Aug. Sept. Okt. Nov. Dez.",
        "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
    ),
    "spanish": (
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "ene. feb. mar. abr. may. jun. jul. ago. sept. oct. nov. dic.",
        "lunes martes miércoles jueves viernes sábado domingo",
    ),
}
MONTHS, SHORT_MONTHS, WEEKDAYS = (
    {language: tuple(names[which].split()) for language, names in _NAMES.items()} for which in range(3)
)

_FIELD_OF: dict[str, Field] = {
    "weekday": "weekday",
    "day": "day",
    "dd": "day",
    "nth": "day",
    "month": "month",
    "mon": "month",
    "m": "month",
    "mm": "month",
    "year": "year",
    "yy": "year",
}


@dataclass(frozen=True, slots=True)
class Form:
    """A way of writing dates."""

    language: str  # whose names it uses; of a form in numbers, whose first word it has ("" if none)
    template: str

    @property
    def order(self) -> str:
        """Fields in the order in which they stand, without the weekday: "day month year"."""
        found = (_FIELD_OF[name] for name in re.findall(r"{(\w+)}", self.template))
        return " ".join(field for field in found if field != "weekday")

    @property
    def bare(self) -> bool:
        """True of day and month between slashes with no word that tells which stands first."""
        return re.fullmatch(r"{\w+}/{\w+}/{\w+}", self.template) is not None and not self.template.startswith("{year}")

    def ambiguous(self, when: date) -> bool:
        """True if this leaves open what is the day and what the month: bare slashes, two different numbers ≤ 12."""
        return self.bare and when.day <= 12 and when.day != when.month


@dataclass(frozen=True, slots=True)
class Written:
    """A date in one form, with what each of its characters tells."""

    text: str
    fields: tuple[Field, ...]  # of each character; "" of what belongs to no field
    iso: str

    def spans(self, field: Field) -> tuple[tuple[int, int], ...]:
        """Where a field stands, as (first, end) of characters."""
        inside = "".join("x" if one == field else " " for one in self.fields)
        return tuple(found.span() for found in re.finditer("x+", inside))


def write(when: date, form: Form) -> Written:
    """A date in this form. Raises KeyError for an unknown name in the template or an unknown language."""
    text, fields = "", list[Field]()
    for literal, name in re.findall(r"([^{]+)|{(\w+)}", form.template):
        piece = literal or _piece(when, name, form.language)
        text += piece
        fields.extend(_FIELD_OF[name] if name else "" for _ in piece)
    return Written(text, tuple(fields), when.isoformat())


def _piece(when: date, name: str, language: str) -> str:
    match name:
        case "weekday":
            return WEEKDAYS[language][when.weekday()]
        case "month":
            return MONTHS[language][when.month - 1]
        case "mon":
            return SHORT_MONTHS[language][when.month - 1]
        case "nth":
            return _ordinal(when.day, language)
    numbers = {
        "day": str(when.day),
        "dd": f"{when.day:02}",
        "m": str(when.month),
        "mm": f"{when.month:02}",
        "year": f"{when.year:04}",
        "yy": f"{when.year % 100:02}",
    }
    return numbers[name]


def _ordinal(day: int, language: str) -> str:
    """The day as a place in a row: "1er" and plain numbers in French, "3." in German, "3rd" in English."""
    if language == "french":
        return "1er" if day == 1 else str(day)
    if language == "german":
        return f"{day}."
    if language == "spanish":
        return f"{day}º" if day == 1 else str(day)
    ending = "th" if day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


def _forms(language: str, *templates: str) -> tuple[Form, ...]:
    return tuple(Form(language, template) for template in templates)


_SLASHES_DAY_FIRST = ("{dd}/{mm}/{year}", "{dd}/{mm}/{yy}", "{day}/{m}/{year}", "{day}/{m}/{yy}")
_SLASHES_MONTH_FIRST = ("{mm}/{dd}/{year}", "{mm}/{dd}/{yy}", "{m}/{day}/{year}", "{m}/{day}/{yy}")

# What is trained on. Bare slashes are read both ways, two of three day first; a word before them settles it.
FORMS: dict[str, tuple[Form, ...]] = {
    "english": _forms(
        "english",
        "the {nth} of {month} {year}",
        "the {nth} of {month}, {year}",
        "{nth} of {month} {year}",
        "{nth} {month} {year}",
        "{weekday} the {nth} of {month} {year}",
        "{month} {nth}, {year}",
        "{month} {day}, {year}",
        "{month} {day} {year}",
        "{weekday}, {month} {day}, {year}",
        "{weekday}, {day} {month} {year}",
        "{day} {month} {year}",
        "{day} {mon} {year}",
        "{mon} {day}, {year}",
        "{day} {mon} {yy}",
        *(f"on {form}" for form in _SLASHES_MONTH_FIRST),
    ),
    "french": _forms(
        "french",
        "{weekday} {nth} {month} {year}",
        "le {weekday} {nth} {month} {year}",
        "le {nth} {month} {year}",
        "{nth} {month} {year}",
        "{day} {month} {year}",
        "{day} {mon} {year}",
        "{day} {mon} {yy}",
        *(f"le {form}" for form in _SLASHES_DAY_FIRST),
    ),
    "german": _forms(
        "german",
        "{weekday}, {nth} {month} {year}",
        "{weekday}, den {nth} {month} {year}",
        "den {nth} {month} {year}",
        "am {nth} {month} {year}",
        "{nth} {month} {year}",
        "{nth} {mon} {year}",
        "{nth} {mon} {yy}",
        "am {dd}.{mm}.{yy}",
        "{dd}.{mm}.{year}",
        "{day}.{m}.{year}",
        "{day}.{m}.{yy}",
    ),
    "spanish": _forms(
        "spanish",
        "{weekday} {day} de {month} de {year}",
        "{weekday}, {day} de {month} de {year}",
        "el {weekday} {day} de {month} de {year}",
        "el {day} de {month} de {year}",
        "{nth} de {month} de {year}",
        "{day} de {month} de {year}",
        "{day} {mon} {year}",
        "{day} {mon} {yy}",
        *(f"el {form}" for form in _SLASHES_DAY_FIRST),
    ),
    "numbers": _forms(
        "",
        *_SLASHES_DAY_FIRST,
        *_SLASHES_DAY_FIRST,
        *_SLASHES_MONTH_FIRST,
        "{year}-{mm}-{dd}",
        "{dd}-{mm}-{year}",
    ),
}

# What is never trained on; its figures stand apart.
OTHER_FORMS: tuple[Form, ...] = (
    *_forms("english", "{weekday} {mon} {day}, {year}", "{month} the {nth}, {year}", "on {day} {month} {year}"),
    *_forms("french", "{weekday}, le {nth} {month} {year}", "le {day} {mon} {yy}", "le {weekday} {day}/{m}/{year}"),
    *_forms("german", "{weekday}, {dd}.{mm}.{year}", "am {weekday}, {nth} {month} {year}", "am {nth} {mon} {yy}"),
    *_forms("spanish", "el {day} {mon} {year}", "el {nth} de {month} de {year}", "{day} de {mon} de {yy}"),
    *_forms("", "{year}/{mm}/{dd}", "{dd} {mm} {year}", "{year}.{mm}.{dd}"),
)
