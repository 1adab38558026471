"""Write the parameters of the address: each page has its own, and removes those of the others."""

from collections.abc import Collection, Mapping

import streamlit as st

from pages.shared.address import comparison, growth, learning
from pages.shared.address.view import PARAMETERS

VIEW = frozenset({"v", *PARAMETERS.values()})
LAB = "lab"
GROWTH = frozenset(growth.PARAMETERS.values())
LEARN = frozenset(learning.PARAMETERS.values())
COMPARED = frozenset(comparison.PARAMETERS.values())
MARK = "sig"  # of a link that was copied from a page of this process: see `http.first_picture`
_OURS = VIEW | {LAB, MARK} | GROWTH | COMPARED | LEARN  # other parameters (embed=true) are Streamlit's


def read(names: Collection[str]) -> dict[str, str]:
    """The parameters of these names that stand in the address."""
    return {name: st.query_params[name] for name in st.query_params if name in names}


def bare() -> bool:
    """Does the address hold no parameter of ours?"""
    return not read(_OURS)


def put(params: Mapping[str, str]) -> None:
    """Let the address hold these parameters and none other of ours."""
    if params != read(_OURS):
        kept = {name: st.query_params[name] for name in st.query_params if name not in _OURS}
        st.query_params.from_dict({**kept, **params})
