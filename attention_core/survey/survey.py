"""A survey: the metrics and the evidence for labels over a corpus, so that a name rests on many texts.

    python -m attention_core.survey MODEL TEXT_OR_FOLDER --out table.csv

reads a text file or a folder of them in windows and writes one row per head and metric or label (CSV or Parquet). It
holds one window at a time. Now and then what it has is put beside the table as `table.csv.partial`, in one stroke; a
survey that was killed goes on from there, and its table is the same, bit for bit, as if it had never been stopped
(on the same machine with the same number of threads).

    survey = Survey(model, texts_at(path))      # or [Text("name", data=b"…")]
    for progress in survey: ...                 # one window at a time: progress.done of progress.total bytes
    survey.table().to_csv()
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jaxtyping import Float
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from attention_core.capturing.capture import capture
from attention_core.capturing.encode import NoTokensError
from attention_core.heads.catalogue import METRICS
from attention_core.heads.evidence import score_repeat, score_text
from attention_core.heads.labels import LabelCard, Progress, Tally
from attention_core.heads.probes import FEWEST_TOKENS, Probe, control_of, repeat_probes
from attention_core.heads.running import Running
from attention_core.heads.scores import HeadScores, head_scores
from attention_core.models.facts import LoadedModel
from attention_core.record.record import Record
from attention_core.survey.table import SurveyTable, survey_table
from attention_core.survey.texts import Text, sample, window_at

N_TOKENS = 256  # of a window, special ones included, if the model can read so many
EVERY = 16  # windows between two checkpoints
VERSION = 1


class Survey:
    """All heads of a model over some texts: an iterator of Progress in bytes, one window or random probe at a time.

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
        self._repeats: tuple[Probe, ...] = tuple(repeat_probes(model))
        self._layer_facts: list[list[Any]] = []  # kind, index and number of heads of each layer
        self._n_repeats = self._text = self._start = 0  # what has been read
        self.n_windows = self.n_skipped = 0
        self._metrics: Running | None = None
        self._even: Running | None = None
        self._tally: Tally | None = None
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
        """Read one more probe or window.

        Raises StopIteration when all texts have been read, and CaptureError if a window needs more memory than there
        is or cannot be captured: the next call tries it again.
        """
        if self._n_repeats < len(self._repeats):
            probe = self._repeats[self._n_repeats]
            trace, control = probe.traces(self.model)
            self._prepare(trace)
            assert self._tally is not None
            self._tally.add(score_repeat(trace, control, probe.period))
            self._n_repeats += 1
            return self._progress("Reading random tokens")
        while self._text < len(self.texts) and self._start >= self.sizes[self._text]:
            self._text, self._start = self._text + 1, 0
        if self._text >= len(self.texts):
            raise StopIteration
        text = self.texts[self._text]
        window = window_at(self.model, text, self._start, self.n_tokens)
        self._read(window.text)
        self._start = window.end
        if self.checkpoint is not None and (self.n_windows + self.n_skipped) % self.every == 0:
            self._save(self.checkpoint)
        return self._progress(f"Reading {text.name}")

    @property
    def done(self) -> bool:
        """Every text has been read to its end."""
        last = len(self.texts) - 1
        at_end = self._text > last or (self._text == last and self._start >= self.sizes[last])
        return self._n_repeats == len(self._repeats) and at_end

    def cards(self) -> dict[tuple[int, int], LabelCard]:
        """Labels by what has been read so far; each Evidence says its n."""
        return {} if self._tally is None else self._tally.cards()

    def table(self) -> SurveyTable:
        """One row per head and metric, and per head and label, by what has been read so far.

        Raises ValueError if no window had enough tokens.
        """
        if self._metrics is None or self._even is None or self._tally is None or not self.n_windows:
            raise ValueError(f"no window had {FEWEST_TOKENS} tokens or more, so there is nothing to tell")
        return survey_table(self.model.facts.name, self._layer_facts, self._metrics, self._even, self._tally)

    def _read(self, text: str) -> None:
        try:
            trace = capture(self.model, text, target=text if self.model.facts.encoder_decoder else None)
        except NoTokensError:  # nothing but blanks
            self.n_skipped += 1
            return
        if sum(not token.special for token in trace.source_tokens) < FEWEST_TOKENS:
            self.n_skipped += 1
            return
        self._prepare(trace)
        assert self._metrics is not None and self._even is not None and self._tally is not None
        scores = head_scores(trace)
        self._metrics.add(scores.values)
        self._even.add(_by_row(scores))
        self._tally.add(score_text(trace, control_of(self.model, trace, self.n_windows)))
        self.n_windows += 1

    def _prepare(self, trace: Record) -> None:
        if not self._layer_facts:
            self._start_with([[layer.kind, layer.index, layer.n_heads] for layer in trace.layers])

    def _start_with(self, layer_facts: list[list[Any]]) -> None:
        self._layer_facts = layer_facts
        heads = tuple((i, head) for i, (_, _, n_heads) in enumerate(layer_facts) for head in range(n_heads))
        self._metrics, self._even = (Running((len(heads), len(METRICS))) for _ in range(2))
        self._tally = Tally(heads)

    def _progress(self, doing: str) -> Progress:
        return Progress(sum(self.sizes[: self._text]) + self._start, sum(self.sizes), doing)

    def _parts(self) -> dict[str, Running]:
        assert self._metrics is not None and self._even is not None and self._tally is not None
        tally = self._tally
        return {
            "metrics": self._metrics,
            "even": self._even,
            "score": tally.score,
            "null": tally.null,
            "weight": tally.weight,
            "difference": tally.difference,
        }

    def _save(self, path: Path) -> None:
        """All of it at once, or nothing: a new file takes the old one's place when it is safely on the disk."""
        if self._tally is None:
            return
        place = {
            "repeats": self._n_repeats,
            "text": self._text,
            "start": self._start,
            "windows": self.n_windows,
            "skipped": self.n_skipped,
            "layers": self._layer_facts,
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
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("fingerprint") != self._fingerprint:
                raise ValueError(f"{path} belongs to another survey (model, texts or window differ): remove it first")
            place = json.loads(metadata["place"])
            self._start_with(place["layers"])
            for name, running in self._parts().items():
                kept = Running.of({part: file.get_tensor(f"{name}.{part}") for part in ("n", "mean", "squares")})
                running.n, running.mean, running.squares = kept.n, kept.mean, kept.squares
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
