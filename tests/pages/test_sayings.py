"""What stands on a page and may quote somebody is never given to Streamlit as Markdown."""

import ast
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.shared.parts import theme
from tests.support.sayings import said_by

PAGES = Path(__file__).resolve().parents[2] / "pages"
MARKDOWN = {
    "caption",
    "error",
    "info",
    "warning",
    "success",
    "markdown",
    "toast",
    "title",
    "header",
    "subheader",
}
OURS = {  # what is given to one of them and is no constant → what it is made of
    "sentence(error)": "a sentence of ours and eight hexadecimal digits",
    "f'Writing: {writing.progress().done} of {n} tokens …'": "two whole numbers",
}


def given_as_markdown(source: str) -> list[str]:
    """The first arguments that methods of Streamlit's which read Markdown get and that are no constants."""
    calls = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MARKDOWN
    ]
    found = [call for call in calls if not ast.unparse(call.func).startswith(("log.", "_log.", "sys.stdout."))]
    firsts = [call.args[0] for call in found if call.args]
    return [ast.unparse(first) for first in firsts if not isinstance(first, ast.Constant)]


def test_only_constants_of_ours_are_markdown():
    files = sorted(PAGES.rglob("*.py"))
    found = {one: file.name for file in files for one in given_as_markdown(file.read_text(encoding="utf-8"))}
    assert set(found) <= set(OURS), found
    assert given_as_markdown("st.error(theme.literal(problem))") == ["theme.literal(problem)"]


@pytest.mark.parametrize(
    "text", ["www.example.com", "a@example.com <b>", "a -> b :smile: $x$ **b**", 'it\'s "so" & so']
)
def test_a_sentence_is_shown_as_it_is(text):
    def page(text: str) -> None:
        from pages.shared.parts import theme

        theme.say(text, "warning")

    app = AppTest.from_function(page, kwargs={"text": text}).run()
    assert said_by(app) == said_by(app, "warning") == [text]
    assert not app.markdown and not app.warning
    assert theme.escape(text) in app.get("html")[0].proto.body
