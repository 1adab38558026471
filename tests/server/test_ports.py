"""Test servers of several workers side by side never get each other's port."""

import socket

from tests.support.serving import free_port


def test_each_worker_has_ports_of_its_own_below_those_that_the_system_gives_away(monkeypatch):
    drawn = {}
    for worker in ("gw0", "gw1", "gw2"):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        drawn[worker] = {free_port() for _ in range(50)}
        assert max(drawn[worker]) < 32_768
    assert not drawn["gw0"] & drawn["gw1"] and not drawn["gw1"] & drawn["gw2"]


def test_a_port_that_somebody_listens_at_is_not_drawn(monkeypatch):
    monkeypatch.setattr("random.Random.sample", lambda self, ports, n: list(ports))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        assert free_port() != taken.getsockname()[1]
