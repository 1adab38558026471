"""`make screenshots`: the first page, light and dark, on a desktop and on a phone, into docs/screenshots."""

import sys
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tests.support.serving import DESKTOP, PHONE, ROOT, launch_chromium, new_visit, serve, skip_tour, wait_until_drawn

FOLDER = ROOT / "docs" / "screenshots"
SCREENS = {"desktop": (DESKTOP, 1), "phone": (PHONE, 2)}  # size in CSS pixels, and how many pixels each of them is
THEMES = ("light", "dark")
COLOURS = 256  # a palette keeps flat pages exact to the eye at a third of the bytes


def take(browser: Browser, url: str, screen: str, theme: str) -> Path:
    """The Explore page with its default text, drawn and at rest."""
    size, scale = SCREENS[screen]
    context, visit = new_visit(
        browser, url, viewport=size, device_scale_factor=scale, color_scheme=theme, reduced_motion="reduce"
    )
    skip_tour(context)
    visit.page.goto("")
    wait_until_drawn(visit.page, timeout_s=60)
    visit.page.wait_for_timeout(1500)  # the proof and the address come a moment after the picture
    picture = Image.open(BytesIO(visit.page.screenshot()))
    context.close()
    file = FOLDER / f"explore-{screen}-{theme}.png"
    picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)
    return file


def main() -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, serve() as server:
        browser = launch_chromium(playwright)
        take(browser, server.url, "desktop", "light")  # until the model is loaded, the page says what it waits for
        for screen in SCREENS:
            for theme in THEMES:
                file = take(browser, server.url, screen, theme)
                print(f"{file.relative_to(ROOT)}  {file.stat().st_size / 1000:.0f} kB")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
