"""Page: a small model learns a task, and its heads form before your eyes."""

from pages.shared.grow import data, trainings
from pages.shared.parts import components, theme
from pages.shared.session import state

view, problems = state.open_growth()
for sentence in problems:
    theme.say(sentence)
components.grow(
    data.data(view, link=state.write_growth_address(view), seed=state.growth_seed()),
    key="grow",
    on_view=state.take_growth,
    on_start=trainings.start,
)
