"""The lessons that come with Sightline."""

from functools import cache

from attention_core.formats.json_data import JsonObject
from attention_core.lessons.lesson import Lesson, Step, read_lesson
from pages.shared.assets import ASSETS

FOLDER = ASSETS / "lessons"


@cache
def lessons() -> tuple[Lesson, ...]:
    """Every lesson, in the order of the course: that of their files' names."""
    return tuple(read_lesson(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.yaml")))


def lesson_of(name: str) -> Lesson:
    """A lesson by its id. Raises ValueError where there is none."""
    for lesson in lessons():
        if lesson.id == name:
            return lesson
    raise ValueError("There is no such lesson.")


def step_of(lesson: Lesson, index: int) -> Step:
    """A step of a lesson by its number from 0. Raises ValueError where there is none."""
    if not 0 <= index < len(lesson.steps):
        raise ValueError(f"This lesson has the steps 1 to {len(lesson.steps)}.")
    return lesson.steps[index]


def course() -> list[JsonObject]:
    """The lessons as the list shows them: no question and no step of theirs is here."""
    titles = {lesson.id: lesson.title for lesson in lessons()}
    return [
        {
            "id": lesson.id,
            "title": lesson.title,
            "turns": lesson.turns,
            "minutes": lesson.minutes,
            "model": lesson.model,
            "text": lesson.text,
            "steps": len(lesson.steps),
            "needs": [{"id": need, "title": titles[need]} for need in lesson.needs],
        }
        for lesson in lessons()
    ]
