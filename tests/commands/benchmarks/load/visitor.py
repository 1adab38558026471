"""One visitor: the files, the websocket, and the numbers that the page's JavaScript fetches, in the browser's order."""

import asyncio
import json
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlencode

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.typing import Subprotocol

from pages.shared.address.view import View, to_params
from tests.commands.benchmarks.load.http import Http
from tests.commands.benchmarks.load.recording import Recording
from tests.commands.benchmarks.texts import WORDS

PATIENCE_SECONDS = 60  # what takes longer is an error
SETTLED_SECONDS = 0.3  # sync.js reports a head once the choice has rested this long
LAYERS, HEADS = 6, 12  # MiniLM's


@dataclass
class Times:
    """Seconds, one entry for each thing done; and sentences about what went wrong."""

    picture: list[float] = field(default_factory=list)  # from opening the link to the last byte of the first picture
    numbers: list[float] = field(default_factory=list)  # a chosen head's exact numbers
    report: list[float] = field(default_factory=list)  # the rerun that takes the choice into the address
    sentence: list[float] = field(default_factory=list)  # from Enter to the last byte of the new picture
    errors: list[str] = field(default_factory=list)
    received: int = 0  # bytes of HTTP bodies on the wire


class Visitor:
    """Opens the link, types `n_texts` sentences and chooses `n_heads` heads over `seconds`."""

    def __init__(self, recording: Recording, host: str, port: int, number: int) -> None:
        self.recording = recording
        self.http = Http(host, port)
        self.times = Times()
        self.random = random.Random(number)
        self.key = ""  # of the picture's data
        self.place = (2, 3)
        self.widgets: dict[str, str] = {}  # JSON state by the end of the widget's id
        self.text = ""
        self.count_url = ""  # the composer's, with the key of this page
        self._hashes: list[str] = []
        self._socket: websockets.ClientConnection | None = None
        self._finished = asyncio.Event()  # a script run has ended
        self._drawn = asyncio.Event()  # the explorer has been given another key
        self._elements = asyncio.Event()

    async def live(self, arrive: float, seconds: float, n_texts: int, n_heads: int) -> Times:
        await asyncio.sleep(arrive)
        reading: asyncio.Task | None = None
        try:
            reading = await self._open()
            acts = ["text" if i % 3 == 0 and i // 3 < n_texts else "head" for i in range(n_texts + n_heads)]
            begun = time.monotonic()
            for i, act in enumerate(acts):
                due = begun + seconds * (i + self.random.random()) / len(acts)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                await asyncio.wait_for(self._type() if act == "text" else self._choose(), PATIENCE_SECONDS)
        except TimeoutError:
            self.times.errors.append(f"waited {PATIENCE_SECONDS} s")
        except Exception as error:  # whatever a visitor would have seen: counted, not raised
            self.times.errors.append(f"{type(error).__name__}: {error}"[:200])
        finally:
            if reading is not None:
                reading.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await reading
            if self._socket is not None:
                with suppress(Exception):
                    await self._socket.close()
            self.http.close()
        self.times.received = self.http.received
        return self.times

    async def _open(self) -> asyncio.Task:
        start = time.perf_counter()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.http.get(self.recording.page)
            await self.http.get_all(self.recording.before)
            host, port = self.http.address
            self._socket = await websockets.connect(
                f"ws://{host}:{port}/_stcore/stream",
                subprotocols=[Subprotocol("streamlit"), Subprotocol(self.http.cookies.get("_streamlit_xsrf", "x"))],
                additional_headers={"Cookie": self.http.cookie} if self.http.cookies else None,
                max_size=None,
                compression=None,
                ping_interval=None,
            )
            reading = asyncio.create_task(self._read(self._socket))
            await self._socket.send(self.recording.first)
            await self._elements.wait()
            await self.http.get_all(self.recording.after)
            if self.recording.text:
                await self._or_lost(self._drawn, reading)
                count = asyncio.create_task(self._count("the teacher's text"))
                await self._fetch_picture()
                self.times.picture.append(time.perf_counter() - start)
                await count
                await self._or_lost(self._finished, reading)
            else:
                await self._or_lost(self._finished, reading)
                self.times.picture.append(time.perf_counter() - start)
        return reading

    async def _type(self) -> None:
        """Commit a sentence of 64 tokens that nobody else has."""
        if not self.recording.text:
            return await self._rerun(self.times.sentence)
        self.text = " ".join(self.random.choice(WORDS) for _ in range(62))
        await self._count(self.text[:100])
        await self._count(self.text)
        await asyncio.sleep(0.5)
        self._drawn.clear()
        self._finished.clear()
        texts = {"text": self.text, "pair": "", "target": "", "nonce": int(time.time() * 1000)}
        self.widgets["-composer"] = json.dumps({"text": texts})
        start = time.perf_counter()
        await self._send(self.recording.head if "-explorer" in self.widgets else self.recording.text)
        count = asyncio.create_task(self._count(self.text))
        await self._drawn.wait()
        await self._fetch_picture()
        self.times.sentence.append(time.perf_counter() - start)
        await count
        await self._finished.wait()

    async def _choose(self) -> None:
        """Another head: its numbers at once, the report once it has settled."""
        if not self.recording.text:
            return await self._rerun(self.times.report)
        self.place = self.random.randrange(LAYERS), self.random.randrange(HEADS)
        start = time.perf_counter()
        await self.http.get(f"/sightline/data/{self.key}/head/{self.place[0]}/{self.place[1]}")
        self.times.numbers.append(time.perf_counter() - start)
        await asyncio.sleep(max(0.0, SETTLED_SECONDS - (time.perf_counter() - start)))
        options = dict(hide_special=False, hide_first=False, renormalise=False, words=False)
        choice = dict(layer=self.place[0], head=self.place[1], query=None, key=None)
        rest = dict(per_head_scale=False, threshold=0.05, picture="heatmap")
        self.widgets["-explorer"] = json.dumps({"view": {**choice, **options, **rest}})
        self._finished.clear()
        start = time.perf_counter()
        await self._send(self.recording.head)
        await self._finished.wait()
        self.times.report.append(time.perf_counter() - start)

    async def _rerun(self, times: list[float]) -> None:
        """The floor: a rerun of a page that does nothing."""
        self._finished.clear()
        start = time.perf_counter()
        await self._send(self.recording.first)
        await self._finished.wait()
        times.append(time.perf_counter() - start)

    async def _fetch_picture(self) -> None:
        await self.http.get(f"/sightline/data/{self.key}/overview")
        await self.http.get(f"/sightline/data/{self.key}/head/{self.place[0]}/{self.place[1]}")

    async def _count(self, text: str) -> None:
        body = json.dumps({"text": text, "pair": "", "target": ""}).encode()
        await self.http.post(f"/{self.count_url}", body)

    async def _send(self, template: bytes) -> None:
        """The browser's own message, with this visitor's states in it."""
        message = BackMsg()
        message.ParseFromString(template)
        run = message.rerun_script
        for widget in run.widget_states.widgets:
            for key, state in self.widgets.items():
                if widget.id.endswith(key):
                    widget.json_value = state
        if self.text:
            view = View(text=self.text, layer=self.place[0], head=self.place[1])
            run.query_string = urlencode(to_params(view))
        run.cached_message_hashes[:] = self._hashes
        if self._socket is not None:
            await self._socket.send(message.SerializeToString())

    async def _or_lost(self, event: asyncio.Event, reading: asyncio.Task) -> None:
        """Wait for an event, or raise what ended the connection."""
        waiting = asyncio.create_task(event.wait())
        await asyncio.wait({waiting, reading}, return_when=asyncio.FIRST_COMPLETED)
        if not event.is_set():
            waiting.cancel()
            reading.result()

    async def _read(self, socket: websockets.ClientConnection) -> None:
        async for data in socket:
            assert isinstance(data, bytes)
            forward = ForwardMsg()
            forward.ParseFromString(data)
            self.heard(forward)
            kind = forward.WhichOneof("type")
            if kind == "delta":
                self._elements.set()
                if forward.metadata.cacheable:
                    self._hashes.append(forward.hash)
                element = forward.delta.new_element
                if element.WhichOneof("type") == "bidi_component":
                    self._take(element.bidi_component)
            elif kind == "script_finished":
                self._finished.set()

    def heard(self, message: ForwardMsg) -> None:
        """For visitors who listen to more than a crowd's does."""

    def _take(self, component) -> None:
        held = component.json or component.mixed.json
        if component.id.endswith("-composer"):
            self.count_url = json.loads(held)["count_url"]
        if not component.id.endswith("-explorer"):
            return
        key = json.loads(held)["key"]
        if key != self.key:
            self.key = key
            self._drawn.set()
