"""Tell an address that the visitor has opened ("news") from one that this session has written itself; for every page.

News is a link that was opened, or the browser's Back and Forward, and not only where the visitor is. What he does comes
with the address that his browser shows. That may still be one of ours from before the newest: it must not undo what he
has just done.
"""

from collections import deque
from collections.abc import Mapping
from typing import Literal

import streamlit as st

from pages.shared.address import bar

Page = Literal["view", "lab", "growth"]  # who keeps an address
ADDRESSES = 64  # of those written: a browser is a few quick choices behind, never more


def acted(on: Page) -> None:
    """The visitor did something: the address that comes with it may be an older one."""
    st.session_state[f"{on}_acted"] = True


def comes(params: Mapping[str, str], to: Page) -> bool:
    """Whether an address is to be opened. To be asked once a run: what was done is forgotten."""
    did = st.session_state.pop(f"{to}_acted", False)
    known = st.session_state.get(f"{to}_known", ())
    here = _short(params)
    if not params or (known and here == known[-1]):
        return False
    return not (did and here in known)


def know(params: Mapping[str, str], of: Page) -> None:
    """An address that has been opened or written is where the visitor is."""
    known = st.session_state.setdefault(f"{of}_known", deque(maxlen=ADDRESSES))
    if not known or known[-1] != _short(params):
        known.append(_short(params))


def write(params: Mapping[str, str], of: Page) -> None:
    """Put parameters into the address, and nothing of another page's."""
    bar.put(params)
    know(params, of)


def _short(params: Mapping[str, str]) -> int:
    """Enough to know an address again: whole ones are up to 4 kB each."""
    return hash(frozenset(params.items()))
