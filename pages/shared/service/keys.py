"""Unguessable names for pictures: what a browser's addresses hold, and what they stand for."""

import hashlib
import hmac
import secrets
from dataclasses import asdict

from pages.shared.service.bounded import BoundedCache
from pages.shared.service.sources import Picture, picture_bytes

KEY_BYTES = 64 * 1_000_000  # for what the keys in the browsers' addresses stand for: tens of thousands of sentences


_SECRET = secrets.token_bytes(32)  # of the marks of this process


def mark(*parts: str) -> str:
    """What shows that some words come from this process: 20 hexadecimal digits that nobody else can make."""
    message = repr(parts).encode("utf-8", "surrogatepass")
    return hmac.new(_SECRET, message, hashlib.sha256).hexdigest()[:20]


class Gone(LookupError):
    """The data behind a key is no longer here: the page has to be asked for it again."""


class Keys:
    """Keys of pictures, the same for every visitor; those of pictures that nobody has asked for in a long while go."""

    def __init__(self) -> None:
        self._pictures: BoundedCache[Picture] = BoundedCache(KEY_BYTES, picture_bytes)
        self._secret = secrets.token_bytes(32)

    @property
    def nbytes(self) -> int:
        """About what the pictures take in memory."""
        return self._pictures.nbytes

    def key(self, picture: Picture) -> str:
        """An unguessable name for a picture's data."""
        message = repr(asdict(picture)).encode("utf-8", "surrogatepass")
        key = hmac.new(self._secret, message, hashlib.sha256).hexdigest()[:40]
        self._pictures.put(key, picture)
        return key

    def picture(self, key: str) -> Picture:
        """What a key stands for. Raises Gone if it is not known (any more)."""
        picture = self._pictures.peek(key)
        if picture is None:
            raise Gone("this picture is no longer here")
        return picture
