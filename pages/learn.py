"""Page: lessons in which one predicts what a model's attention does, and is told by its numbers."""

from pages.shared.learn import session
from pages.shared.parts import components, theme

place, problems = session.open_place()
for sentence in problems:
    theme.say(sentence)
components.learn(session.data(place), key="learn", on_view=session.take_place, on_leave=session.leave)
