"""One typed function per JavaScript view. The views are ES modules in assets/js, loaded by address."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.components.v2 import component

from attention_core.formats.json_data import JsonMapping, JsonObject
from pages.shared.address.comparison import ComparedView
from pages.shared.address.view import View
from pages.shared.assets import ASSETS_URL, LAB_FILES, PLOTLY_URL
from pages.shared.comparing import session
from pages.shared.engine.plain import TraceSummary
from pages.shared.process.boot import BOOT
from pages.shared.session import state

if TYPE_CHECKING:
    from pages.shared.lab.session import Session

# Streamlit takes inline code; ours is one line that fetches the real module, so that a rerun does not carry it again.
_LOADER = """
export default function (component) {
  const address = new URL(component.data.assets + "js/%s.js", document.baseURI).href
  return import(address).then((module) => module.default(component))
}
"""

_composer = component("sightline_composer", js=_LOADER % "composer/composer")
_explorer = component("sightline_explorer", js=_LOADER % "explore/explorer")
_steps = component("sightline_steps", js=_LOADER % "steps/steps")
_heads = component("sightline_heads", js=_LOADER % "heads/heads")
_compare = component("sightline_compare", js=_LOADER % "compare/compare")
_experiment = component("sightline_experiment", js=_LOADER % "experiment/experiment")


_lab = component("sightline_lab", js=_LOADER % "lab/lab")
_readout = component("sightline_readout", js=_LOADER % "explore/says")
_grow = component("sightline_grow", js=_LOADER % "grow/grow")
_learn = component("sightline_learn", js=_LOADER % "learn/learn")


def composer(data: JsonMapping, *, key: str, on_text: Callable[[], None]) -> None:
    """The text box. It reports {"text", "pair", "target", "nonce"} as state `text` when the visitor commits.

    When its server has been restarted it asks for a run, as trigger `back`: the address then gives the view again.
    """
    _composer(
        key=key, data={"assets": ASSETS_URL, "boot": BOOT, **data}, on_text_change=on_text, on_back_change=_nothing
    )


@dataclass(frozen=True, slots=True)
class Seat:
    """How a view of a trace sits in its page, whatever it shows."""

    key: str  # Streamlit's, of the component
    data_key: str  # under which the browser fetches the numbers; they do not travel with the component
    seed: int  # another one whenever Python, and not the browser, changed the view
    link: str | None  # of the view; None where it has none
    large: bool  # type for a projector: the browser reads the size from the style sheet, this makes it look again
    on_view: Callable[[], None]  # the browser reports its choice, once settled
    on_lost: Callable[[], None]  # the numbers are gone from the server
    on_says: Callable[[], None] = lambda: None  # something that the model says, or could say, was chosen
    written: JsonMapping | None = None  # what the model has just written into the text: {"tokens", "says"}

    @property
    def data(self) -> JsonObject:
        """What every such view is told; `echo` is the report that its link stands for, None before there is one."""
        return {
            "assets": ASSETS_URL,
            "key": self.data_key,
            "seed": self.seed,
            "link": self.link,
            "link_note": self._why_no_link(),
            "echo": state.last_report(self.key),
            "large": self.large,
        }

    def _why_no_link(self) -> str:
        if self.link:
            return ""
        if state.opened_file():
            return "A view of a trace file has no link. Send the file instead."
        return "The text is too long for a link. Save the trace file and send that instead."


def explorer(view: View, trace: TraceSummary, seat: Seat, *, embedded: bool) -> None:
    """The atlas and one head."""
    data = {
        **explorer_data(view, trace, seat.data_key),
        **seat.data,
        "mode": "embed" if embedded else "full",
        "written": seat.written,
        "echo": {name: getattr(view, name) for name in (*_CHOICE, *_OPTIONS)},
    }
    _explorer(
        key=seat.key,
        data=data,
        on_view_change=seat.on_view,
        on_lost_change=seat.on_lost,
        on_leave_change=partial(state.leave, seat.key),
        on_says_change=seat.on_says,
    )


def explorer_data(view: View, trace: TraceSummary, data_key: str) -> JsonObject:
    """What the explorer draws, whoever looks: the numbers' key, what is chosen of them, and what this trace allows."""
    return {
        "key": data_key,
        "select": {name: getattr(view, name) for name in _CHOICE},
        "options": {name: getattr(view, name) for name in _OPTIONS},
        "can": {
            "hide_special": any(token.special for token in (*trace.source_tokens, *trace.target_tokens)),
            "by_norm": all(layer.exact for layer in trace.layers),
            "words": _has_words_of_several_pieces(trace),
        },
        "given": trace.given,
        "loading": False,
        "exports": {"svg": True},
    }


def steps(view: View, trace: TraceSummary, seat: Seat) -> None:
    """One head and one query, step by step. `view` must name one layer, one head and one query."""
    data = {
        **seat.data,
        "select": {name: getattr(view, name) for name in _PLACE},
        "layers": [
            {
                "label": layer.label,
                "n_heads": layer.n_heads,
                "n_query": layer.n_query,
                "n_key": layer.n_key,
            }
            for layer in trace.layers
        ],
    }
    _steps(
        key=seat.key,
        data=data,
        on_view_change=seat.on_view,
        on_lost_change=seat.on_lost,
        on_leave_change=partial(state.leave, seat.key),
    )


def heads(view: View, seat: Seat, *, can_by_norm: bool, labels_by: str = "") -> None:
    """Every head in numbers: table, map and scatter.

    The browser fetches the metrics of the text and the labels of the model under `data_key`, or those that are kept
    under the name `labels_by`.
    """
    data = {
        **seat.data,
        "select": {name: getattr(view, name) for name in (*_CHOICE, *_ORDER)},
        "hidden": view.hide_special or view.hide_first,
        "renormalised": view.renormalise,
        "by_norm": view.by_norm,
        "can_by_norm": can_by_norm,
        "plotly": PLOTLY_URL,
        "labels_by": labels_by,
    }
    _heads(
        key=seat.key,
        data=data,
        on_view_change=seat.on_view,
        on_lost_change=seat.on_lost,
        on_leave_change=partial(state.leave, seat.key),
    )


def compare(view: View, now: ComparedView, seat: Seat, *, key_b: str, names: tuple[str, str], same_run: bool) -> None:
    """Two heads beside each other, and their difference. `view` must name one layer; `now` is B where it is not A's."""
    no_link = {"link_note": "A file has no link. Send the file instead."} if session.file() else {}
    data = {
        **seat.data,
        **no_link,
        "key_b": key_b,
        "names": names,
        "same_run": same_run,
        "select": {name: getattr(view, name) for name in _CHOICE},
        "other": {name: getattr(now, name) for name in (*_CHOICE, "fixed", "own_scale")},
    }
    _compare(
        key=seat.key,
        data=data,
        on_view_change=seat.on_view,
        on_lost_change=seat.on_lost,
        on_leave_change=partial(state.leave, seat.key),
    )


def experiment(view: View, seat: Seat, told: JsonMapping, *, on_wish: Callable[[], None]) -> None:
    """One question, and what every head does to its answer.

    `told` is what can be asked here and what stands around it (assets/js/experiment/told.d.ts). It reports the head,
    the question and the way of switching off as state `view`, and what else is wanted as trigger `wish`.
    """
    data = {
        **seat.data,
        **told,
        "select": {name: getattr(view, name) for name in (*_CHOICE, "question", "fill")},
        "plotly": PLOTLY_URL,
    }
    _experiment(
        key=seat.key,
        data=data,
        on_view_change=seat.on_view,
        on_lost_change=seat.on_lost,
        on_leave_change=partial(state.leave, seat.key),
        on_wish_change=on_wish,
    )


def lab(
    shown: JsonMapping,
    at: "Session",
    *,
    key: str,
    link: str | None,
    model: JsonMapping | None,
    large: bool,
    on_acts: Callable[[], None],
) -> None:
    """The Lab: matrices as tables that can be edited. It reports, as state `acts`, every action not yet in `ack`.

    `shown` is `lab.data.lab_data` of the state on screen.
    """
    data = {
        **shown,
        "assets": ASSETS_URL,
        "ack": at.ack,
        "problem": asdict(at.problem) if at.problem else None,
        "said": list(at.said),
        "can_undo": at.history.can_undo,
        "can_redo": at.history.can_redo,
        "link": link,
        "link_note": "" if link else "This is too much for a link. Save the spreadsheet or the program instead.",
        "files": LAB_FILES,
        "model": model,
        "large": large,
    }
    _lab(key=key, data=data, on_acts_change=on_acts)


def readout(data: JsonMapping, *, key: str, on_chosen: Callable[[], None]) -> None:
    """What the model says, as bars. It reports the token that was clicked, {"id", "which"}, as trigger `chosen`."""
    _readout(key=key, data={"assets": ASSETS_URL, **data}, on_chosen_change=on_chosen)


def grow(data: JsonMapping, *, key: str, on_view: Callable[[], None], on_start: Callable[[], None]) -> None:
    """The training of a small model, step by step (`data` as in assets/js/grow/grow.js).

    It reports what is shown as state `view` once settled, the settings of a run to be grown as trigger `start`, and the
    wish for large or usual type as trigger `large`.
    """
    given = {"assets": ASSETS_URL, "plotly": PLOTLY_URL, **data}
    _grow(
        key=key,
        data=given,
        on_view_change=on_view,
        on_start_change=on_start,
        on_large_change=_change_type,
        on_leave_change=partial(state.leave, key),
    )


def learn(data: JsonMapping, *, key: str, on_view: Callable[[], None], on_leave: Callable[[], None]) -> None:
    """The lessons (`data` as in assets/js/learn/learn.js); it reports where the visitor is as state `view`."""
    _learn(key=key, data={"assets": ASSETS_URL, **data}, on_view_change=on_view, on_leave_change=on_leave)


def _change_type() -> None:
    state.keep_large(not st.session_state.get("frame_large"))


def _nothing() -> None:
    """A run is all that was asked for."""


_CHOICE = ("layer", "head", "query", "key")
_PLACE = (*_CHOICE, "step", "mode")
_ORDER = ("metric", "metric_x", "metric_y", "sort", "only")
_OPTIONS = (
    "hide_special",
    "hide_first",
    "renormalise",
    "words",
    "by_norm",
    "per_head_scale",
    "threshold",
    "picture",
)


def _has_words_of_several_pieces(trace: TraceSummary) -> bool:
    words = [token.word for token in trace.source_tokens if token.word is not None]
    return len(set(words)) < len(words)
