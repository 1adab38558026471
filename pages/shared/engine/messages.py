"""Messages between the pages' process and the reader's: msgpack of plain data over a pair of sockets.

A message that is not small goes into memory without a name (`memfd`), which travels as a file descriptor and is mapped
by whoever gets it; so does a file to save. Nothing is pickled: what arrives is read as the types that the seam names.
"""

import mmap
import os
import socket
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from inspect import signature
from threading import Lock
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from pages.shared.engine.engine import Engine, Handle

SMALL = 16_000  # bytes; a packet is sent whole or not at all, and must fit into the sockets' buffers
_PACKET = 2 * SMALL
_INSIDE, _MAPPED = b"i", b"m"


class Ask(msgspec.Struct):
    """A question to the reader, or with op "cancel" the end of one."""

    id: int
    op: str
    arguments: msgspec.Raw  # a list, as the seam's method of that name takes them


class Told(msgspec.Struct):
    """The reader's answer to a question, or, with `event`, what it tells by itself."""

    id: int
    value: msgspec.Raw = msgspec.Raw(b"\xc0")
    error: tuple[str, str] | None = None  # kind and sentence
    event: str = ""


class Ended(ConnectionError):
    """The other side is no longer there."""


class Line:
    """One end of the connection. Any thread may send; one receives."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._turn = Lock()

    def send(self, message: bytes, file: int | None = None) -> None:
        """Send a message, with an open file if one goes along. Raises Ended."""
        files = [] if file is None else [file]
        place = None
        if len(message) > SMALL:
            place = os.memfd_create("sightline", os.MFD_CLOEXEC)
            with open(place, "wb", closefd=False) as memory:
                memory.write(message)
            files.insert(0, place)
        packet = _INSIDE + message if place is None else _MAPPED
        try:
            with self._turn:
                socket.send_fds(self._end, [packet], files)
        except OSError as error:
            raise Ended(str(error)) from None
        finally:
            if place is not None:
                os.close(place)

    def receive(self) -> tuple[bytes, int | None]:
        """The next message, and the file that came along, which is then the caller's to close. Raises Ended."""
        try:
            packet, files, _, _ = socket.recv_fds(self._end, _PACKET, 2)
        except OSError as error:
            raise Ended(str(error)) from None
        if not packet:
            raise Ended("the other side has closed the connection")
        if packet[:1] == _INSIDE:
            return packet[1:], files[0] if files else None
        place = files.pop(0)
        try:
            with mmap.mmap(place, 0, access=mmap.ACCESS_READ) as memory:
                return memory[:], files[0] if files else None
        finally:
            os.close(place)

    def close(self) -> None:
        """Wake whoever receives, and let go."""
        try:
            self._end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._end.close()


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends. Raises OSError where the system has no such sockets or no memory without a name."""
    if not hasattr(os, "memfd_create"):
        raise OSError("a reader process needs Linux")
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


Kind = Any  # a type, a union of types, None: what the annotations of the seam hold
Answer = Any  # plain data of such a type, which is known while the program runs


@dataclass(frozen=True, slots=True)
class Operation:
    """What a method of the seam takes and gives."""

    arguments: Kind  # a tuple type
    answer: Kind
    waits: bool  # it comes back as a handle or a future


# What may be asked of a reader. The rest of the seam is answered beside the pages.
ASKED = (
    "condition known read readout write put_token survey label prepare pack compare bring save count first_text "
    "open_file forget row seed strongest_link finds closest effect sweep lenses lesson_step lesson_mark"
).split()


@cache
def operations() -> dict[str, Operation]:
    """Everything that may be asked of a reader, by name, with its types as the seam has them."""
    return {name: _operation(getattr(Engine, name)) for name in ASKED}


def _operation(method: Callable[..., object]) -> Operation:
    hints = get_type_hints(method)
    names = [name for name in signature(method).parameters if name != "self"]
    answer = hints["return"]
    waits = get_origin(answer) in (Handle, Future)
    return Operation(tuple[tuple(hints[name] for name in names)], get_args(answer)[0] if waits else answer, waits)


encode = msgspec.msgpack.Encoder().encode
asked = msgspec.msgpack.Decoder(Ask).decode
told = msgspec.msgpack.Decoder(Told).decode


def raw(value: object) -> msgspec.Raw:
    """Plain data, ready to be put into a message."""
    return msgspec.Raw(encode(value))


def read(data: msgspec.Raw, kind: Kind) -> Answer:
    """Plain data out of a message, as this type. Raises msgspec.ValidationError if it is not of it."""
    return msgspec.msgpack.decode(data, type=kind)
