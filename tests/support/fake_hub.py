"""A model hub that answers from folders of this machine; the hub's own library talks to it as over the network."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from huggingface_hub import constants, set_client_factory
from huggingface_hub.utils._http import default_client_factory

COMMIT = "0123456789abcdef0123456789abcdef01234567"

Answer = Callable[[httpx2.Request], httpx2.Response]


def serving(models: dict[str, Path]) -> Answer:
    """Answer as the hub does for these models: id → folder. All others are not found."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/tree/[0-9a-f]+|/revision/[^/]+)?", path):
            return _about(models, found[1], tree=(found[2] or "").startswith("/tree"))
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path):
            return _file(models, found[1], found[2], request)
        return httpx2.Response(404)

    return answer


LATER = "89abcdef0123456789abcdef0123456789abcdef"


def moving(name: str, first: Path, later: Path) -> Answer:
    """A hub whose model is another one from the second question about it on; a commit that is named is answered."""
    answers = {COMMIT: serving({name: first}), LATER: serving({name: later})}
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        if found := re.search(r"/(?:resolve|revision|tree)/([0-9a-f]{40})", path):
            commit = found[1]
        else:
            commit = LATER if asked else COMMIT
            asked.append(path)
        said = answers[commit](request)
        if commit == COMMIT:
            return said
        headers = {**said.headers, "x-repo-commit": LATER} if "x-repo-commit" in said.headers else said.headers
        return httpx2.Response(said.status_code, headers=headers, content=said.content.replace(*_COMMITS))

    return answer


_COMMITS = (COMMIT.encode(), LATER.encode())


def refusing(status: int, code: str) -> Answer:
    """Answer every question with this status and the hub's name for it ("GatedRepo", "RepoNotFound")."""
    return lambda request: httpx2.Response(status, headers={"x-error-code": code, "x-error-message": code})


def silent(request: httpx2.Request) -> httpx2.Response:
    """A network that leads nowhere."""
    raise httpx2.ConnectError("no route to host", request=request)


@contextmanager
def hub(answer: Answer, cache: Path) -> Iterator[list[str]]:
    """Let the hub's library ask `answer` and keep what it fetches in `cache`. Yields the paths that it asked for."""
    asked: list[str] = []

    def noted(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.path)
        return answer(request)

    before = constants.HF_HUB_OFFLINE, constants.HF_HUB_CACHE, constants.HF_HUB_DISABLE_XET
    constants.HF_HUB_OFFLINE, constants.HF_HUB_CACHE, constants.HF_HUB_DISABLE_XET = False, str(cache), True
    set_client_factory(lambda: httpx2.Client(transport=httpx2.MockTransport(noted), follow_redirects=True))
    try:
        yield asked
    finally:
        set_client_factory(default_client_factory)
        constants.HF_HUB_OFFLINE, constants.HF_HUB_CACHE, constants.HF_HUB_DISABLE_XET = before


def _about(models: dict[str, Path], name: str, *, tree: bool) -> httpx2.Response:
    if name not in models:
        return httpx2.Response(401, headers={"x-error-code": "RepoNotFound"})
    files = [file for file in sorted(models[name].rglob("*")) if file.is_file()]
    names = [(file, file.relative_to(models[name]).as_posix()) for file in files]
    if tree:
        listed = [
            {"type": "file", "path": path, "size": file.stat().st_size, "oid": _etag(file)} for file, path in names
        ]
        return httpx2.Response(200, json=listed)
    siblings = [{"rfilename": path, "size": file.stat().st_size} for file, path in names]
    return httpx2.Response(200, json={"id": name, "modelId": name, "sha": COMMIT, "siblings": siblings})


def _file(models: dict[str, Path], name: str, path: str, request: httpx2.Request) -> httpx2.Response:
    file = models[name] / path
    headers = {"x-repo-commit": COMMIT}
    if not file.is_file():
        return httpx2.Response(404, headers={**headers, "x-error-code": "EntryNotFound"})
    data = file.read_bytes()
    headers |= {"etag": f'"{_etag(file)}"', "accept-ranges": "bytes"}
    if request.method == "HEAD":
        return httpx2.Response(200, headers={**headers, "content-length": str(len(data))})
    if found := re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", "")):
        start, end = int(found[1]), int(found[2] or len(data) - 1)
        headers["content-range"] = f"bytes {start}-{min(end, len(data) - 1)}/{len(data)}"
        return httpx2.Response(206, headers=headers, content=data[start : end + 1])
    return httpx2.Response(200, headers=headers, content=data)


def _etag(file: Path) -> str:
    return hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest()


def parameter_counts(folder: Path) -> dict[str, int]:
    """Stored numbers of each dtype, from the header of a folder's weights."""
    data = (folder / "model.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    counts: dict[str, int] = {}
    for tensor, entry in header.items():
        if tensor != "__metadata__":
            n = 1
            for side in entry["shape"]:
                n *= side
            counts[entry["dtype"]] = counts.get(entry["dtype"], 0) + n
    return counts
