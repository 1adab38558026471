"""Where a step of Step by step is, and how a number on its page is read."""

from urllib.parse import quote_plus

from playwright.sync_api import Locator

TEXT = "The animal didn't cross the street because it was too tired."


def path(text: str = TEXT, **params: object) -> str:
    """The address of a step below the app's root."""
    chosen = {"v": 1, "m": "minilm", "t": text, "l": 3, "h": 1, "q": 10, **params}
    return "/steps?" + "&".join(f"{name}={quote_plus(str(value))}" for name, value in chosen.items() if value != "")


def parsed(text: str) -> float:
    """A number as the page writes it."""
    return float(text.replace("−", "-").replace("∞", "inf"))


def numbers(found: Locator) -> list[float]:
    """Every number of these elements, in order."""
    return [parsed(text) for text in found.all_inner_texts()]


def box(found: Locator) -> dict[str, float]:
    """Where an element stands on the screen, in CSS pixels."""
    for _ in range(50):  # a step that is drawn again while it is looked at has no place for a moment
        place = found.bounding_box()
        if place is not None and place["width"]:
            return {**place, "right": place["x"] + place["width"], "bottom": place["y"] + place["height"]}
        found.page.wait_for_timeout(100)
    raise AssertionError(f"{found} has no place on the screen")
