"""Which names this server answers to, and which sites' pages may speak to it.

A page of another site can have its own name point at this machine (DNS rebinding): to the browser it then *is* that
site, and may read what is answered. Such an attack needs a name of the attacker's, so a server is safe that answers to
addresses given by number, to this machine's own names, and to those that its operator names: `SIGHTLINE_HOSTS`, or
Streamlit's `server.allowedHosts`, which by itself guards the websocket alone.
"""

import socket
from collections.abc import Iterable
from functools import cache
from ipaddress import ip_address
from socket import AF_INET
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

NOT_OURS = (
    "This server does not answer to that name. Open it by its address (http://192.168.…), or have its operator allow "
    "the name: SIGHTLINE_HOSTS=name.example.org\n"
)


class KnownHosts:
    """Answers 421 to a request for another name, and 403 to the websocket of another site's page.

    Streamlit compares a foreign origin with this machine's address on the internet, for which it asks a host there and
    holds up everybody for seconds. So no foreign origin reaches it: a websocket of one is refused here, of any other
    request the header is taken away, which asks for no more than a permission that nobody gets.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str] = ()) -> None:
        self.app = app
        self._names = tuple(map(_plain, names))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what is for another name or of another site; pass everything else on."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host"), headers.get("origin")
        if not self._ours(_name_in(f"//{host}") if host else None):
            await _refuse(scope, receive, send, 421)
            return
        if origin is not None and urlsplit(origin).netloc != host:
            if scope["type"] == "websocket":
                if not self._named(_name_in(origin)):
                    await _refuse(scope, receive, send, 403)
                    return
                # Named by the operator: behind a proxy that passes on another Host than the browser asked for.
                MutableHeaders(scope=scope)["origin"] = f"http://{host}"
            else:
                del MutableHeaders(scope=scope)["origin"]
        await self.app(scope, receive, send)

    def _ours(self, name: str | None) -> bool:
        if name is None:
            return False
        return _is_number(name) or name in _own_names() or name.endswith(".localhost") or self._named(name)

    def _named(self, name: str | None) -> bool:
        """Did the operator name it? `*.example.org` stands for every name below, `*` for every name."""
        return name is not None and any(
            pattern in ("*", name) or (pattern.startswith("*.") and name.endswith(pattern[1:]))
            for pattern in self._names
        )


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int) -> None:
    if scope["type"] == "websocket":
        await receive()  # the connection that is asked for
        await send({"type": "websocket.close", "code": 1008})  # the handshake is answered 403
    else:
        await PlainTextResponse(NOT_OURS, status_code=status)(scope, receive, send)


def _name_in(address: str) -> str | None:
    """The host's name in `//host:port` or in an origin; None where it is none."""
    try:
        parts = urlsplit(address)
        name, _ = parts.hostname, parts.port
    except ValueError:
        return None
    if not name or parts.username is not None or parts.path.strip("/") or parts.query or parts.fragment:
        return None
    return _plain(name)


def _plain(name: str) -> str:
    return name.strip().lower().rstrip(".")


def _is_number(name: str) -> bool:
    """An address given by number: no attacker's name."""
    try:
        ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True


def addresses_in_the_network() -> list[str]:
    """This machine's own addresses (IPv4) that others may reach it by, read from its interfaces: nobody is asked."""
    import psutil

    found = [one.address for several in psutil.net_if_addrs().values() for one in several if one.family == AF_INET]
    return [address for address in found if not ip_address(address).is_loopback]


@cache
def _own_names() -> frozenset[str]:
    """What this machine calls itself, and what its network may call it without asking anybody's name server."""
    own = _plain(socket.gethostname()).partition(".")[0]
    return frozenset({"localhost", *(name for name in (own, f"{own}.local") if own)})
