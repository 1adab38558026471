"""A lesson as a file: steps with a few sentences, a view of the real tool, and a question that is marked by computing.

    lesson = read_lesson(Path("assets/lessons/01-words.yaml").read_text("utf-8"))

YAML (or JSON, which is YAML), of the types below; `schema()` is the same as JSON Schema, for editors. A file with a
fault is refused in a sentence that names the line. Nothing in a file is an answer: a question says what is asked of
which head, and the answer is computed from the text that the learner has then. Numbers in the prose are figures,
`{name}`, computed in the same moment.
"""

import re
from typing import Annotated, Literal

import yaml
from msgspec import Meta, Struct, ValidationError, convert, json, to_builtins

from attention_core.formats.json_data import Json, JsonMapping, JsonObject

FORMAT = 1
MOST_BYTES = 200_000  # of a lesson from outside
MOST_DEEP = 12  # lists and mappings within each other

Sentence = Annotated[str, Meta(min_length=1, max_length=600)]
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,40}$")]
Place = Annotated[int, Meta(ge=0)]


class LessonError(ValueError):
    """What is wrong with a lesson's file, with its line, as a sentence for who wrote it."""


class _Part(Struct, frozen=True, forbid_unknown_fields=True):
    """Whatever stands in a lesson's file."""


class Word(_Part, frozen=True):
    """A token of the text by what it reads, or the one that `otherwise` names where the learner's text lacks it."""

    word: Annotated[str, Meta(min_length=1)]
    # The end of the head's strongest link between words that fits where it stands, or always its query or its key; the
    # last word; none: not asked.
    otherwise: Literal["strongest", "query", "key", "last", "none"] = "strongest"


class View(_Part, frozen=True):
    """The real tool, in a stated state. Layer, head and query are those of the question where they are not given."""

    page: Literal["explore", "steps", "lab", "grow", "experiment", "compare"]
    layer: Place | None = None
    head: Place | None = None
    query: Word | None = None
    key: Word | None = None
    step: str = ""  # of Step by step, by its name in the ledger
    preset: str = ""  # of the Lab
    run: str = ""  # of Grow a head


class Measure(_Part, tag_field="of", tag="measure", frozen=True):
    """A number of one head on one text."""


class OfCell(Measure, tag="cell", frozen=True):
    """Of one query and one key: a weight (share), a score q·k ÷ √d, the dot product q·k, the cosine of q and k."""

    what: Literal["weight", "score", "dot", "cosine"]
    layer: Place
    head: Place
    query: Word
    key: Word


class OfRow(Measure, tag="row", frozen=True):
    """Of one query's row: the sum of its weights (1), the largest of them, how many bits it is spread over."""

    what: Literal["sum", "largest", "entropy"]
    layer: Place
    head: Place
    query: Word
    undivided: bool = False  # of the weights that softmax would give of q·k as it is, without ÷ √d


class OfColumn(Measure, tag="column", frozen=True):
    """Of one key's column: the sum of what all queries give it, which is no share of anything."""

    what: Literal["sum"]
    layer: Place
    head: Place
    key: Word


class OfVector(Measure, tag="vector", frozen=True):
    """The length ‖·‖ of one token's query, key or value in one head."""

    what: Literal["q", "k", "v"]
    layer: Place
    head: Place
    token: Word


class OfSize(Measure, tag="size", frozen=True):
    """How many numbers q and k have (d), the root of it, how many heads and layers the model has."""

    what: Literal["d", "root", "heads", "layers"]
    layer: Place = 0


Figure = OfCell | OfRow | OfColumn | OfVector | OfSize


class Question(_Part, tag_field="kind", kw_only=True, frozen=True):
    """Something that is predicted before it is shown."""

    asks: Sentence
    why: Sentence  # the reason, with figures in it; shown with the mark


class Point(Question, tag="point", frozen=True):
    """Point at the word that a query's row gives most."""

    layer: Place
    head: Place
    query: Word
    specials: Literal["hidden", "shown"] = "hidden"  # whether [CLS], [SEP] and their like can be pointed at


class Sketch(Question, tag="sketch", frozen=True):
    """Draw a query's row as bars."""

    layer: Place
    head: Place
    query: Word
    specials: Literal["hidden", "shown"] = "shown"  # hidden: the row is shared out anew among the others


class Number(Question, tag="number", frozen=True):
    """Type a number."""

    figure: Figure
    digits: Annotated[int, Meta(ge=0, le=4)] = 2
    slips: tuple[Literal["forgot-root", "row-for-column", "no-exp", "forgot-mask"], ...] = ()


class Order(Question, tag="order", frozen=True):
    """Lay things in order, smallest first."""

    figures: dict[str, Figure]
    noise: Annotated[float, Meta(ge=0)]


class Which(Question, tag="which", frozen=True):
    """Which of two has more."""

    figures: dict[str, Figure]
    noise: Annotated[float, Meta(ge=0)]


class FindHead(Question, tag="find-head", frozen=True):
    """Find a head whose score reaches a bound; the score is one of the catalogue's."""

    metric: str
    bound: float


Asked = Point | Sketch | Number | Order | Which | FindHead


class Step(_Part, frozen=True):
    """One thing to look at, a prediction, a reveal."""

    say: tuple[Sentence, ...]
    view: View
    figures: dict[str, Figure] = {}
    ask: Asked | None = None


class Lesson(_Part, frozen=True):
    """A lesson."""

    format: Literal[1]
    id: Name
    title: Annotated[str, Meta(min_length=1, max_length=80)]
    turns: Sentence  # the belief that it turns
    minutes: Annotated[int, Meta(ge=1, le=60)]
    model: str
    text: Annotated[str, Meta(min_length=1, max_length=2_000)]
    steps: Annotated[tuple[Step, ...], Meta(min_length=1, max_length=30)]
    needs: tuple[Name, ...] = ()  # lessons that it builds on
    words: tuple[str, ...] = ()  # of the glossary, that it introduces


def schema() -> JsonObject:
    """The format as JSON Schema (2020-12)."""
    described: JsonObject = json.decode(json.encode(json.schema(Lesson)))  # lists, as it stands in a file
    return described


def read_lesson(text: str) -> Lesson:
    """A lesson from its file's text. Raises LessonError, with the line, where it cannot be one."""
    if len(text.encode()) > MOST_BYTES:
        raise LessonError(f"A lesson has at most {MOST_BYTES:,} bytes.")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise LessonError("A lesson refers to nothing by * or &: write it out.")  # a few lines could make gigabytes
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        raise LessonError(f"{_line(mark)}this is no YAML: {fault.problem}.") from None
    except yaml.YAMLError as fault:
        raise LessonError(f"This is no YAML: {fault}.") from None
    except RecursionError:
        raise LessonError("It is nested too deep for a lesson.") from None
    if root is None or _depth(root) > MOST_DEEP:
        raise LessonError("The file is empty." if root is None else "It is nested too deep for a lesson.")
    _no_key_twice(root)
    try:
        lesson = convert(_plain(root), Lesson)
    except ValidationError as fault:
        says, _, path = str(fault).partition(" - at `$")
        raise LessonError(f"{_line(_at(root, path.rstrip('`')))}{_plainly(says, path)}") from None
    except yaml.MarkedYAMLError as fault:
        raise LessonError(f"{_line(fault.problem_mark)}{fault.problem}.") from None
    _figures_are_there(lesson, root)
    return lesson


def plain_step(step: Step) -> JsonObject:
    """A step as plain data, to be sent to whoever computes; `step_from` makes it a step again."""
    return to_builtins(step)


def step_from(plain: JsonMapping) -> Step:
    """A step from plain data. Raises LessonError where it is none."""
    try:
        return convert(plain, Step)
    except ValidationError as fault:
        raise LessonError(f"This is no step of a lesson: {fault}.") from None


def figures_in(sentence: str) -> list[str]:
    """The names of the figures that a sentence quotes."""
    return re.findall(r"\{([a-z][a-z0-9_]*)\}", sentence)


def _plain(root: yaml.Node) -> Json:
    return yaml.SafeLoader("").construct_document(root)


def _line(mark: yaml.Mark | None) -> str:
    return f"Line {mark.line + 1}: " if mark else ""


def _depth(node: yaml.Node) -> int:
    deepest, waiting = 0, [(node, 1)]
    while waiting:
        one, depth = waiting.pop()
        deepest = max(deepest, depth)
        if depth <= MOST_DEEP:
            waiting += [(inner, depth + 1) for inner in _inner(one)]
    return deepest


def _inner(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [value for _, value in node.value]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _no_key_twice(node: yaml.Node) -> None:
    """YAML's readers keep the last of two; who wrote both would look for the first in vain."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise LessonError(f"{_line(key.start_mark)}a name is a word, and no list.")
            if key.value in seen:
                raise LessonError(f"{_line(key.start_mark)}“{key.value}” stands here twice.")
            seen.add(str(key.value))
    for inner in _inner(node):
        _no_key_twice(inner)


def _at(root: yaml.Node, path: str) -> yaml.Mark | None:
    """Where the part lies that msgspec calls `path`, as `.steps[2].ask.kind`; as near as it can be found."""
    node = root
    for name, index in re.findall(r"\.(\w+)|\[(\d+|\.\.\.)\]", path):
        if isinstance(node, yaml.MappingNode):
            found = next((value for key, value in node.value if key.value == name), None)
        else:
            found = node.value[int(index)] if isinstance(node, yaml.SequenceNode) and index.isdigit() else None
        if found is None:
            break
        node = found
    return node.start_mark


def _plainly(says: str, path: str) -> str:
    """msgspec's sentence in the words of a lesson's file, with what could stand there."""
    if found := re.match(r"Invalid (?:enum )?value (.*)", says):
        name = re.findall(r"\.(\w+)", path)[-1]
        can = ", ".join(_can_stand().get(name, ()))
        return f"{name} cannot be {found[1]}" + (f": it is one of {can}." if can else ".")
    says = says.replace("Object missing required field", "this needs").replace(
        "Object contains unknown field", "nothing is called"
    )
    return says.replace("Expected", "expected").replace("`", "“", 1).replace("`", "”", 1) + "."


def _can_stand() -> dict[str, tuple[str, ...]]:
    """What a field that takes a few words alone can hold, by its name."""
    found: dict[str, dict[str, None]] = {}
    for part in schema()["$defs"].values():
        for name, field in part.get("properties", {}).items():
            found.setdefault(name, {}).update(dict.fromkeys(map(str, field.get("enum", ()))))
    return {name: tuple(words) for name, words in found.items() if words}


def _figures_are_there(lesson: Lesson, root: yaml.Node) -> None:
    """Every {figure} of the prose is one of its step's."""
    for i, step in enumerate(lesson.steps):
        sentences = [*step.say, *((step.ask.asks, step.ask.why) if step.ask else ())]
        for name in (name for sentence in sentences for name in figures_in(sentence)):
            if name not in step.figures:
                where = _line(_at(root, f".steps[{i}]"))
                raise LessonError(f"{where}step {i + 1} speaks of {{{name}}}, and its figures have no “{name}”.")
