"""The list of pages, for Streamlit's navigation and for the frame that is drawn before Streamlit has started."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One page: its script, its name in the navigation, its address, and whether it reads the shared text and model."""

    script: str
    title: str
    url_path: str  # "" is the first page
    reads_text: bool = False
    views: tuple[str, ...] = ()  # its modules in assets/js, fetched in advance
    own_heading: bool = (
        False  # it shows a heading of first rank; the others have one that is heard, and seen with the focus
    )


MENU = (
    Entry(
        "pages/explore.py",
        "Explore",
        "",
        reads_text=True,
        views=("composer/composer", "explore/explorer", "explore/says"),
    ),
    Entry("pages/steps.py", "Step by step", "steps", reads_text=True, views=("composer/composer", "steps/steps")),
    Entry("pages/heads.py", "Heads", "heads", reads_text=True, views=("composer/composer", "heads/heads")),
    Entry("pages/compare.py", "Compare", "compare", reads_text=True, views=("composer/composer", "compare/compare")),
    Entry(
        "pages/experiment.py",
        "Experiment",
        "experiment",
        reads_text=True,
        views=("composer/composer", "experiment/experiment"),
    ),
    Entry("pages/lab.py", "Lab", "lab", views=("lab/lab",)),
    Entry("pages/grow.py", "Grow a head", "grow", views=("grow/grow",), own_heading=True),
    Entry("pages/learn.py", "Learn", "learn", views=("learn/learn",)),
    Entry("pages/about.py", "What attention shows", "about", own_heading=True),
)
