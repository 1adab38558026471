"""Tell an address that the visitor has opened ("news") from one that this session has written itself; for every page.

News is a link that was opened, or the browser's Back and Forward, and not only where the visitor is. What he does comes
with the address that his browser shows. That may still be one of ours from before the newest, for the newest is on its
way: only Back and Forward open one of ours again.

An address without parameters is where a visitor came in, before this session wrote the first one. Back to it shows what
he has, and writes nothing: an address that is written lies behind him, and his next Back would come here once more.
"""

from collections import deque
from collections.abc import Mapping
from typing import Literal

import streamlit as st

from pages.shared.address import bar
from pages.shared.inside import of_streamlit

Page = Literal["view", "lab", "growth", "compared", "learn"]  # who keeps an address
ADDRESSES = 64  # of those written: a browser is a few quick choices behind, never more


def comes(params: Mapping[str, str], to: Page) -> bool:
    """Whether an address is to be opened."""
    known = st.session_state.get(f"{to}_known", ())
    here = _short(params)
    if not params or (known and here == known[-1]):
        return False
    return here not in known or of_streamlit.went_through_history()


def know(params: Mapping[str, str], of: Page) -> None:
    """An address that has been opened or written is where the visitor is."""
    known = st.session_state.setdefault(f"{of}_known", deque(maxlen=ADDRESSES))
    if not known or known[-1] != _short(params):
        known.append(_short(params))


def write(params: Mapping[str, str], of: Page, beside: Mapping[Page, Mapping[str, str]] | None = None) -> None:
    """Put parameters into the address, with those that others keep `beside` them, and nothing of another page's.

    A bare one that Back or Forward went to is left so until there is something new to be written.
    """
    every: dict[Page, Mapping[str, str]] = {of: params, **(beside or {})}
    here = tuple((page, _short(part)) for page, part in every.items())
    if bar.bare() and (of_streamlit.went_through_history() or st.session_state.get("left_bare") == here):
        st.session_state["left_bare"] = here
        return
    st.session_state.pop("left_bare", None)
    bar.put({name: value for part in every.values() for name, value in part.items()})
    for page, part in every.items():
        know(part, page)


def _short(params: Mapping[str, str]) -> int:
    """Enough to know an address again: whole ones are up to 4 kB each."""
    return hash(frozenset(params.items()))
