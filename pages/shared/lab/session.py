"""The Lab's session: one history of states, the browser's actions done on it, and its address.

The browser tells every action until it is acknowledged, so quick ones are neither lost nor done twice. An action that
cannot be done leaves the last good state, and a sentence.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import streamlit as st

from attention_core.formats.fields import Fault, Field, read
from attention_core.formats.json_data import JsonMapping
from attention_core.lab import edits
from attention_core.lab.facts import standard
from attention_core.lab.link import LINK_LIMIT, from_link, to_link
from attention_core.lab.presets import PRESETS
from attention_core.lab.state import History, LabState, parse_cell
from pages.shared.address import bar
from pages.shared.engine.choosing import engine
from pages.shared.service.sources import Source
from pages.shared.session import news, state

Action = JsonMapping
FIRST = "animal"
_NOT_UNDERSTOOD = "This could not be done: the page and the server do not understand each other. Reload the page."


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an action was not done. `id`, `row` and `column` name the cell that it is about, if it is about one."""

    n: int
    says: str
    id: str | None = None
    row: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Session:
    """What one visitor does in the Lab. Small: a few hundred states of a few hundred numbers at most."""

    history: History
    preview: LabState | None = None  # what a slider passes over; shown, not yet done
    opened: str = ""  # the preset that the oldest state belongs to
    ack: int = 0  # the newest action that was done
    problem: Problem | None = None
    said: tuple[str, ...] = ()  # sentences about the link that was opened
    real_asked: int = 0  # how often the visitor wanted to see what can be copied from the model

    @property
    def shown(self) -> LabState:
        """The state on screen: a slider's preview while there is one."""
        return self.preview or self.history.now

    @property
    def preset(self) -> str:
        """The preset whose task is at hand: the one that was chosen last on the way to this state."""
        if self.history.now.direct:
            return ""
        for seen in (self.history.now, *reversed(self.history.past)):
            found = next((name for name, preset in PRESETS.items() if preset.state == seen), "")
            if found or seen.direct:
                return found
        return self.opened


def session() -> Session:
    """The visitor's session, once a run; from the address when it is new there (first run, a link, Back)."""
    ours = bar.read((bar.LAB,))
    if news.comes(ours, "lab") or "lab_session" not in st.session_state:
        st.session_state["lab_session"] = opened(ours, st.session_state.get("lab_session"))
        news.know(ours, "lab")
    return st.session_state["lab_session"]


def opened(params: Mapping[str, str], before: Session | None = None) -> Session:
    """The session that an address opens: a step of `before` where it was one, which keeps those to undo and redo."""
    values, said = read(params, _FIELDS)
    preset, found = values.get("address", (FIRST, None))
    ack = before.ack if before else 0
    if before and found:
        for history in before.history.reaching(found):
            there = replace(before, history=history, preview=None, problem=None, said=())
            if address_of(there) == params[bar.LAB]:
                return there
    return Session(History(found or PRESETS[FIRST].state), opened=preset, said=said, ack=ack)


def write_address(at: Session) -> str | None:
    """Put the Lab's state into the address, and nothing of the view; the link, or None for a state too large."""
    text = address_of(at)
    news.write({bar.LAB: text} if text else {}, "lab")
    return f"?{bar.LAB}={text}" if text else None


def take_actions() -> None:
    """Do what the browser asks for and has not been told done."""
    told = st.session_state["lab"].get("acts") or []
    before: Session = st.session_state["lab_session"]
    for action in told:
        if isinstance(action, Mapping) and action.get("do") == "large" and action.get("n", 0) > before.ack:
            state.keep_large(bool(action.get("on")))
    st.session_state["lab_session"] = done(before, told, state.source_now)


def done(at: Session, told: Sequence[Action], source: Callable[[], Source]) -> Session:
    """The session after all new actions among `told`. `source` gives what the other pages show, for a real head."""
    actions = [one for one in told if isinstance(one, Mapping) and isinstance(one.get("n"), int) and one["n"] > at.ack]
    for action in sorted(actions, key=lambda one: one["n"]):
        try:
            at = replace(_do(replace(at, preview=None, problem=None), action, source), ack=action["n"])
        except ValueError as error:
            at = replace(at, preview=None, ack=action["n"], problem=_problem(action, str(error)))
        except (KeyError, TypeError, IndexError, AttributeError):
            at = replace(at, preview=None, ack=action["n"], problem=Problem(action["n"], _NOT_UNDERSTOOD))
    return at


def address_of(at: Session) -> str:
    """The state as the address holds it, with the preset whose task it is; "" if it is too long."""
    text = ".".join(filter(None, (at.preset, to_link(at.history.now))))
    return text if len(text) <= LINK_LIMIT else ""


def _preset_and_state(text: str) -> tuple[str, LabState]:
    preset, _, packed = text.rpartition(".")
    if preset and preset not in PRESETS:
        raise Fault("This link to the Lab names a preset that there is none of; the first one is shown.")
    try:
        return preset, from_link(packed, LINK_LIMIT)
    except ValueError as error:
        raise Fault(f"{error} The first preset is shown instead.") from None


_FIELDS = {
    "address": Field(
        bar.LAB,
        "a state of the Lab",
        _preset_and_state,
        called="What the Lab shows",
        instead="the first preset is shown",
    )
}


def _problem(action: Action, says: str) -> Problem:
    if not says.endswith("."):  # Python's own words, not the core's: the action made no sense
        return Problem(action["n"], _NOT_UNDERSTOOD)
    if action.get("do") in ("cell", "preview") and isinstance(action.get("matrix"), str):
        return Problem(action["n"], says, action["matrix"], int(action.get("row", 0)), int(action.get("column", 0)))
    return Problem(action["n"], says)


def _do(at: Session, action: Action, source: Callable[[], Source]) -> Session:
    do: str = action["do"]
    if do == "preview":
        return replace(at, preview=_edits["switch" if "values" in action else "cell"](at.history.now, action))
    if do == "large":  # the frame's, see take_actions
        return at
    if do == "look":
        return replace(at, real_asked=at.real_asked + 1)
    if do == "undo":
        return replace(at, history=at.history.undone())
    if do == "redo":
        return replace(at, history=at.history.redone())
    if do == "reset":
        return replace(at, history=at.history.reset())
    if do == "preset":
        start = PRESETS[action["name"]].state
        return replace(at, history=replace(at.history.did(start), first=start), said=())
    if do == "real":
        place = int(action["layer"]), int(action["head"])
        start = from_link(engine().seed(source(), *place, tuple(int(i) for i in action["tokens"])))
        return replace(at, history=replace(at.history.did(start), first=start), said=())
    return replace(at, history=at.history.did(_edits[do](at.history.now, action)))


def _cell(now: LabState, action: Action) -> LabState:
    value = parse_cell(str(action["text"]))
    return edits.with_cell(now, action["matrix"], int(action["row"]), int(action["column"]), value)


def _switch(now: LabState, action: Action) -> LabState:
    values = dict(action["values"])
    if "padding" in values:
        values["padding"] = tuple(sorted({int(i) for i in values["padding"]}))
    return edits.with_switch(now, **values)


def _to_real(now: LabState, action: Action) -> LabState:
    if action.get("matrix") is None:
        return edits.to_real(now)
    return edits.to_real(now, action["matrix"], int(action["row"]), int(action["column"]))


def _shape(now: LabState, action: Action) -> LabState:
    sizes = {name: int(action[name]) for name in ("d_model", "d_head", "n_heads") if name in action}
    return edits.with_shape(now, **sizes)


_edits: dict[str, Callable[[LabState, Action], LabState]] = {
    "cell": _cell,
    "switch": _switch,
    "standard": lambda now, _: standard(now),
    "heads": lambda now, action: edits.with_switch(now, n_heads=int(action["n_heads"])),
    "words": lambda now, action: edits.with_words(now, tuple(str(word) for word in action["words"])),
    "move": lambda now, action: edits.moved(now, int(action["word"]), int(action["to"])),
    "shuffle": lambda now, action: edits.shuffled(now, int(action["seed"])),
    "random": lambda now, action: edits.randomised(now, int(action["seed"])),
    "shape": _shape,
    "to_real": _to_real,
}
