"""Ports can be moved, and a busy one is named."""

from __future__ import annotations

import socket

import pytest

from deploy.local.ports import PortProblem, Ports, refuse_busy


def test_the_documented_ports_are_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THROUGHLINE_PORT_BASE", raising=False)
    ports = Ports.chosen()
    assert (ports.system, ports.process, ports.experience, ports.sandbox) == (8101, 8102, 8103, 8110)


def test_one_port_can_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THROUGHLINE_PORT_BASE", "9100")
    monkeypatch.setenv("THROUGHLINE_PORT_SANDBOX", "9999")
    ports = Ports.chosen()
    assert (ports.system, ports.sandbox) == (9101, 9999)


@pytest.mark.parametrize("base", ["eighty", "80", "65530"])
def test_a_port_base_that_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch, base: str) -> None:
    monkeypatch.setenv("THROUGHLINE_PORT_BASE", base)
    with pytest.raises(PortProblem, match=base):
        Ports.chosen()


def test_a_busy_port_is_named_with_who_wants_it() -> None:
    ports = Ports.free()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports.process))
        taken.listen()
        with pytest.raises(PortProblem, match=rf"port is already in use: {ports.process} \(process\)"):
            refuse_busy(ports)
    refuse_busy(ports)
