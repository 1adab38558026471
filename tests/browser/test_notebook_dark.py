"""The pictures of a notebook in a real browser: the one that fits the notebook's paper is seen, and no other."""

import pytest
from playwright.sync_api import Browser

from attention_core import Trace, capture, load_model

# What notebooks say of their theme, on the element that holds them; "" says nothing, and the machine decides.
SAID = {
    "": ("", None),
    "JupyterLab, light": ('<body data-jp-theme-light="true">', "light"),
    "JupyterLab, dark": ('<body data-jp-theme-light="false">', "dark"),
    "VS Code, light": ('<body data-vscode-theme-kind="vscode-light">', "light"),
    "VS Code, dark": ('<body data-vscode-theme-kind="vscode-dark">', "dark"),
    "Colab, light": ('<html theme="light">', "light"),
    "Colab, dark": ('<html theme="dark">', "dark"),
}


@pytest.fixture(scope="module")
def trace() -> Trace:
    return capture(load_model("minilm"), "The animal was tired")


@pytest.mark.parametrize("machine", ["light", "dark"])
@pytest.mark.parametrize("notebook", SAID)
def test_a_notebook_shows_the_picture_for_its_own_paper(browser: Browser, trace: Trace, notebook: str, machine: str):
    begins, paper = SAID[notebook]
    context = browser.new_context(color_scheme=machine)
    try:
        page = context.new_page()
        for shown in (trace.picture(2, 3), trace):
            page.set_content(f"<!doctype html>{begins}{shown._repr_html_()}")
            seen = page.locator(".sl-light, .sl-dark").evaluate_all(
                "all => [...new Set(all.filter((one) => one.checkVisibility()).map((one) => one.className))]"
            )
            assert seen == [f"sl-{paper or machine}"]
            assert page.locator(f".{seen[0]} svg").first.bounding_box()["width"] > 100
    finally:
        context.close()


def test_the_two_pictures_differ_in_colour_alone(trace: Trace):
    light, dark = trace.picture(2, 3)._repr_html_().split('<div class="sl-dark"')
    assert light.count("<text") == dark.count("<text") > 0
    assert light.split('<div class="sl-light">')[1][:400] != dark[:400]
