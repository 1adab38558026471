"""A survey: the metrics and the evidence for labels over a corpus, so that a name rests on many texts.

    python -m attention_core.survey MODEL TEXT_OR_FOLDER --out table.csv

reads a text file or a folder of them in windows and writes one row per head and metric or label (CSV or Parquet). It
holds one window at a time. Now and then what it has is put beside the table as `table.csv.partial`, in one stroke; a
survey that was killed goes on from there, and its table is the same, bit for bit, as if it had never been stopped
(on the same machine with the same number of threads).

    survey = Survey(model, texts_at(path))      # or [Text("name", data=b"…")]
    for progress in survey: ...                 # one pass or layer at a time: progress.done of progress.total bytes
    survey.table().to_csv()

Labels are tested as `heads.labelling` tests them, with these texts: each window at about 16, 64 and 256 tokens from its
beginning. That makes seven forward passes a window, one of them for the metrics.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from attention_core.capturing.capture import capture
from attention_core.capturing.encode import NoTokensError
from attention_core.heads.cards import LabelCard, LayerFacts
from attention_core.heads.catalogue import METRICS
from attention_core.heads.labelling import HeadTests, Progress, Read
from attention_core.heads.running import Running
from attention_core.heads.scores import HeadScores, head_scores
from attention_core.heads.windows import Text, window_at
from attention_core.models.facts import LoadedModel
from attention_core.survey.table import SurveyTable, survey_table
from attention_core.survey.texts import sample

FEWEST_TOKENS = 16  # of a window, special ones aside
FEWEST_IN_LINE = 4  # the same of a text that is one line: lines are never joined
N_TOKENS = 256  # of a window, special ones included, if the model can read so many
EVERY = 16  # windows between two checkpoints
VERSION = 2


class Survey:
    """All heads of a model over some texts: an iterator of Progress in bytes, a forward pass or a layer at a time.

    With `checkpoint`, a path, it goes on from what is there and keeps it up to date every `every` windows.

    `texts` are strings, or `survey.texts.Text` of files, which are read a window at a time.

    Raises ValueError for no texts, a window that the model cannot read, or a checkpoint of another survey.
    """

    def __init__(
        self,
        model: LoadedModel,
        texts: Sequence[Text | str],
        checkpoint: Path | None = None,
        *,
        n_tokens: int | None = None,
        every: int = EVERY,
    ) -> None:
        if isinstance(texts, str):
            raise ValueError("a survey reads a list of texts; of one text: Survey(model, [text])")
        if not texts:
            raise ValueError("a survey needs at least one text")
        named = [Text(f"text {n}", data=one.encode()) if isinstance(one, str) else one for n, one in enumerate(texts)]
        limit = model.facts.context_length
        self.n_tokens = n_tokens or min(N_TOKENS, limit or N_TOKENS)
        if not FEWEST_TOKENS <= self.n_tokens <= (limit or self.n_tokens):
            raise ValueError(f"a window must have {FEWEST_TOKENS} … {limit or 'any number of'} tokens; got {n_tokens}")
        self.model, self.texts, self.checkpoint, self.every = model, tuple(named), checkpoint, every
        self.sizes = [text.size for text in self.texts]
        self.tests = HeadTests(model, self.n_tokens)
        self._n_repeats = self._text = self._start = 0  # what has been read
        self._random_done = False
        self._steps: Iterator[str] = iter(())  # of the window or the probe that is being read
        self.n_windows = self.n_skipped = 0
        self._metrics: Running | None = None
        self._even: Running | None = None
        if checkpoint is not None:
            self._fingerprint = _fingerprint(model, self.texts, self.n_tokens)
            if checkpoint.is_file():
                self._resume(checkpoint)

    def __repr__(self) -> str:
        name = self.model.facts.name[:80]
        how_far = "done" if self.done else f"{self.n_windows} windows read"
        return (
            f"Survey of {len(self.texts):,} texts ({sum(self.sizes):,} bytes) in {name}: {how_far}\n"
            "Go on: for progress in survey: … · .table().to_pandas() · .cards()"
        )

    def __iter__(self) -> Iterator[Progress]:
        return self

    def __next__(self) -> Progress:
        """Go one step further.

        Raises StopIteration when all texts have been read, and CaptureError if a window needs more memory than there
        is or cannot be captured: the next call tries that window again.
        """
        while (doing := next(self._steps, None)) is None:
            steps = self._next_steps()
            if steps is None:
                raise StopIteration
            self._steps = steps
        return Progress(sum(self.sizes[: self._text]) + self._start, sum(self.sizes), doing)

    @property
    def done(self) -> bool:
        """Every text has been read to its end, and every repeat."""
        return self._n_repeats == len(self.tests.repeats) and self._at_end() and self._random_done

    def cards(self) -> dict[tuple[int, int], LabelCard]:
        """Labels by what has been read so far; each Evidence says its n."""
        return {} if self.tests.tally is None else self.tests.cards()

    @property
    def rests_on(self) -> str:
        """What the labels rest on, as a part of a sentence."""
        return self.tests.rests_on

    def table(self) -> SurveyTable:
        """One row per head and metric, per head and label, and per head its answer, by what has been read so far.

        Raises ValueError if no window had enough tokens.
        """
        tally = self.tests.tally
        if self._metrics is None or self._even is None or tally is None or not self.n_windows:
            least = FEWEST_IN_LINE if all(text.lines for text in self.texts) else FEWEST_TOKENS
            raise ValueError(f"no window had {least} tokens or more, so there is nothing to tell")
        cards = self.tests.cards()
        return survey_table(self.model.facts.name, tally, cards, self._metrics, self._even)

    def _at_end(self) -> bool:
        last = len(self.texts) - 1
        return self._text > last or (self._text == last and self._start >= self.sizes[last])

    def _next_steps(self) -> Iterator[str] | None:
        """The steps of what comes next; None when all has been read."""
        if self._n_repeats < len(self.tests.repeats):
            return self._repeat()
        while self._text < len(self.texts) and self._start >= self.sizes[self._text]:
            self._text, self._start = self._text + 1, 0
        if self._text < len(self.texts):
            return self._window()
        return None if self._random_done else self._instead()

    def _repeat(self) -> Iterator[str]:
        for _ in self.tests.steps([self.tests.repeats[self._n_repeats]]):
            yield "Reading random tokens"
        self._n_repeats += 1

    def _instead(self) -> Iterator[str]:
        probes = self.tests.instead()
        for _ in self.tests.steps(probes):
            yield "Reading random tokens: the tokenizer does not know these texts"
        self._random_done = True

    def _window(self) -> Iterator[str]:
        """Read a window; nothing of it counts before all of it has been read."""
        text, doing = self.texts[self._text], f"Reading {self.texts[self._text].name}"
        window = window_at(self.model, text, self._start, self.n_tokens)
        if text.lines and not window.text.strip():
            self._start = window.end  # an empty line is no text
            return
        yield doing
        scores = self._scores(window.text, FEWEST_IN_LINE if text.lines else FEWEST_TOKENS)
        if scores is None:
            self.n_skipped += 1
        else:
            yield doing
            made = self.tests.of_text(window.text, self.tests.read.texts)
            for _ in self.tests.steps(made if isinstance(made, tuple) else ()):
                yield doing
            self.tests.count(made)
            self._add(scores)
            self.n_windows += 1
        self._start = window.end
        if self.checkpoint is not None and (self.n_windows + self.n_skipped) % self.every == 0:
            self._save(self.checkpoint)
        yield doing

    def _scores(self, text: str, fewest: int) -> HeadScores | None:
        """The metrics on a window; None if it has too few tokens."""
        try:
            trace = capture(self.model, text, target=text if self.model.facts.encoder_decoder else None)
        except NoTokensError:  # nothing but blanks
            return None
        if sum(not token.special for token in trace.source_tokens) < fewest:
            return None
        self.tests.prepare(LayerFacts.all_of(trace))
        return head_scores(trace)

    def _add(self, scores: HeadScores) -> None:
        self._make_room(len(scores.heads))
        assert self._metrics is not None and self._even is not None
        self._metrics.add(scores.values)
        self._even.add(_by_row(scores))

    def _make_room(self, n_heads: int) -> None:
        if self._metrics is None:
            self._metrics, self._even = (Running((n_heads, len(METRICS))) for _ in range(2))

    def _parts(self) -> dict[str, Running]:
        assert self._metrics is not None and self._even is not None and self.tests.tally is not None
        found = {"metrics": self._metrics, "even": self._even}
        for length, moments in self.tests.tally.moments.items():
            for field in fields(moments):
                found[f"{field.name}.{length}"] = getattr(moments, field.name)
        return found

    def _save(self, path: Path) -> None:
        """All of it at once, or nothing: a new file takes the old one's place when it is safely on the disk."""
        tally = self.tests.tally
        if tally is None:
            return
        self._make_room(len(tally.heads))
        place = {
            "repeats": self._n_repeats,
            "text": self._text,
            "start": self._start,
            "windows": self.n_windows,
            "skipped": self.n_skipped,
            "layers": [asdict(layer) for layer in tally.layers],
            "read": asdict(self.tests.read),
        }
        tensors: dict[str, Tensor] = {
            f"{name}.{part}": tensor.contiguous()
            for name, running in self._parts().items()
            for part, tensor in running.tensors().items()
        }
        fresh = path.with_name(path.name + ".new")
        save_file(tensors, fresh, metadata={"place": json.dumps(place), "fingerprint": self._fingerprint})
        with fresh.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(fresh, path)

    def _resume(self, path: Path) -> None:
        """Raises ValueError for a checkpoint that is broken, or of another survey."""
        try:
            self._go_on_from(path)
        except (SafetensorError, KeyError, TypeError, OSError, json.JSONDecodeError) as error:
            raise ValueError(
                f"{path} holds no survey that can go on ({type(error).__name__}): remove it first"
            ) from None

    def _go_on_from(self, path: Path) -> None:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("fingerprint") != self._fingerprint:
                raise ValueError(f"{path} belongs to another survey (model, texts or window differ): remove it first")
            place = json.loads(metadata["place"])
            self.tests.prepare([LayerFacts(**layer) for layer in place["layers"]])
            self._make_room(sum(layer["n_heads"] for layer in place["layers"]))
            for name, running in self._parts().items():
                kept = Running.of({part: file.get_tensor(f"{name}.{part}") for part in ("n", "mean", "squares")})
                running.n, running.mean, running.squares = kept.n, kept.mean, kept.squares
        read = place["read"]
        self.tests.read = Read(**{**read, "at": {int(length): n for length, n in read["at"].items()}})
        self._n_repeats, self._text, self._start = place["repeats"], place["text"], place["start"]
        self.n_windows, self.n_skipped = place["windows"], place["skipped"]


def _by_row(scores: HeadScores) -> Float[Tensor, "head metric"]:
    """Even attention's metrics, once for each head of a layer."""
    return scores.even[[layer for layer, _ in scores.heads]]


def _fingerprint(model: LoadedModel, texts: Sequence[Text], n_tokens: int) -> str:
    """What a checkpoint must agree in: texts, window, model with some of its numbers, version of the survey."""
    facts = model.facts
    digest = hashlib.sha256()
    for parameter in model.model.parameters():
        if not parameter.is_meta:
            digest.update(parameter.detach().flatten()[:256].float().cpu().numpy().tobytes())
    about = [VERSION, facts.architecture, facts.n_parameters, str(model.dtype), digest.hexdigest(), n_tokens]
    return hashlib.sha256(json.dumps([about, sample(texts)]).encode()).hexdigest()
