"""Who may frame what: one picture anybody, everything else nobody."""

from collections.abc import Mapping

import pytest
import streamlit
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from pages.shared.http.server import SafeHeaders


def headers_of(address: str) -> Mapping[str, str]:
    app = Starlette(
        routes=[Route("/{path:path}", lambda _: PlainTextResponse("page"))], middleware=[Middleware(SafeHeaders)]
    )
    with TestClient(app) as client:
        return client.get(address).headers


def framed_by(address: str) -> str:
    return headers_of(address)["content-security-policy"].rpartition("frame-ancestors ")[2]


def test_a_page_asks_no_device_and_another_sites_window_cannot_reach_into_it():
    headers = headers_of("/")
    assert {"camera=()", "microphone=()", "geolocation=()"} <= set(headers["permissions-policy"].split(", "))
    assert "clipboard" not in headers["permissions-policy"]  # Copy link
    assert headers["cross-origin-opener-policy"] == "same-origin"


@pytest.mark.parametrize("address", ["/?embed=true", "/?v=1&embed=true&l=0"])
def test_another_site_may_frame_the_explorers_picture(address):
    assert framed_by(address) == "*"


@pytest.mark.parametrize(
    "address",
    ["/", "/?t=embed=true", "/lab?embed=true", "/grow?embed=true", "/steps?embed=true", "/sightline/health?embed=true"],
)
def test_another_site_may_frame_nothing_else(address):
    assert framed_by(address) == "'self'"


@pytest.mark.parametrize(
    ("address", "by"),
    [
        ("/class?embed=true", "*"),
        ("/class/?embed=true", "*"),
        ("/?embed=true", "'self'"),
        ("/class/lab?embed=true", "'self'"),
    ],
)
def test_under_a_path_the_explorer_is_at_that_path(monkeypatch, address, by):
    options = {"server.baseUrlPath": "/class/"}
    monkeypatch.setattr(streamlit, "get_option", options.get)
    assert framed_by(address) == by
