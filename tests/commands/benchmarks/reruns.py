"""A rerun that changes nothing, timed at the server: Streamlit's own protocol without a browser."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from urllib.parse import urlsplit

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.typing import Subprotocol

from tests.commands.benchmarks.table import Row


def rows(url: str, rounds: int) -> list[Row]:
    """Median of `rounds` reruns of one session, with torch imported and the model loaded."""
    with ThreadPoolExecutor(1) as thread:  # Playwright runs an event loop in the caller's
        times = thread.submit(asyncio.run, _rerun(urlsplit(url).netloc, rounds)).result()
    return [Row("a rerun that changes nothing, at the server", median(times), "ms", 20, "torch imported, one session")]


async def _rerun(netloc: str, rounds: int) -> list[float]:
    address = f"ws://{netloc}/_stcore/stream"
    times: list[float] = []
    # "streamlit" and a placeholder for the XSRF token, as the browser sends them.
    offered = [Subprotocol("streamlit"), Subprotocol("x")]
    async with websockets.connect(address, subprotocols=offered, max_size=None, compression=None) as socket:
        page, hashes = await _run(socket, "", [])
        page, hashes = await _run(socket, page, hashes)  # the first one draws, the second one settles
        for _ in range(rounds):
            await asyncio.sleep(0.1)
            start = time.perf_counter()
            page, hashes = await _run(socket, page, hashes)
            times.append(1000 * (time.perf_counter() - start))
    return times


async def _run(socket, page: str, hashes: list[str]) -> tuple[str, list[str]]:
    """Ask for one run of the script and read to its end; the page and the messages that may be sent as hashes."""
    message = BackMsg()
    state = message.rerun_script
    state.page_script_hash = page
    state.cached_message_hashes.extend(hashes)
    await socket.send(message.SerializeToString())
    kept = list(hashes)
    while True:
        forward = ForwardMsg()
        forward.ParseFromString(await socket.recv())
        kind = forward.WhichOneof("type")
        if kind == "new_session":
            page = forward.new_session.page_script_hash
        elif kind == "script_finished":
            return page, kept
        elif kind == "delta" and forward.metadata.cacheable:
            kept.append(forward.hash)
