"""Who may frame what: one picture anybody, everything else nobody."""

import pytest
import streamlit
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from pages.shared.http.server import SafeHeaders


def framed_by(address: str) -> str:
    app = Starlette(
        routes=[Route("/{path:path}", lambda _: PlainTextResponse("page"))], middleware=[Middleware(SafeHeaders)]
    )
    with TestClient(app) as client:
        policy = client.get(address).headers["content-security-policy"]
    return policy.rpartition("frame-ancestors ")[2]


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
