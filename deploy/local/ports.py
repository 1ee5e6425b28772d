"""Loopback ports of the embedded profile: defaults, overrides, and who may not have them; no processes here."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, dataclass

BASE_VARIABLE = "THROUGHLINE_PORT_BASE"
DEFAULT_BASE = 8100
_LOWEST, _HIGHEST = 1024, 65_535
HOST = "127.0.0.1"


class PortProblem(Exception):
    """A port cannot be used; the message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Ports:
    """One port per process; `from_base(8100)` is the documented default."""

    system: int
    process: int
    experience: int
    nats: int
    postgres: int
    sandbox: int

    @classmethod
    def from_base(cls, base: int) -> Ports:
        """Ports base+1 … base+5, and base+10 for the sandbox."""
        if not _LOWEST <= base <= _HIGHEST - 10:
            raise PortProblem(f"port base {base} is not between {_LOWEST} and {_HIGHEST - 10}")
        return cls(base + 1, base + 2, base + 3, base + 4, base + 5, base + 10)

    @classmethod
    def chosen(cls, base: int | None = None) -> Ports:
        """From the flag, else THROUGHLINE_PORT_BASE, else 8100; THROUGHLINE_PORT_<NAME> overrides a single one."""
        text = str(base) if base is not None else os.environ.get(BASE_VARIABLE, str(DEFAULT_BASE))
        ports = asdict(cls.from_base(_number(BASE_VARIABLE, text)))
        for name in ports:
            variable = f"THROUGHLINE_PORT_{name.upper()}"
            if single := os.environ.get(variable):
                ports[name] = _number(variable, single)
        if len(set(ports.values())) != len(ports):
            raise PortProblem(f"two processes were given one port: {ports}")
        return cls(**ports)

    @classmethod
    def free(cls) -> Ports:
        """Six ports that nobody listens on right now (for tests)."""
        probes = [socket.socket() for _ in range(6)]
        try:
            for probe in probes:
                probe.bind((HOST, 0))
            return cls(*(probe.getsockname()[1] for probe in probes))
        finally:
            for probe in probes:
                probe.close()

    def items(self) -> list[tuple[str, int]]:
        """Names with their ports."""
        return list(asdict(self).items())


def _number(variable: str, text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _HIGHEST:
        raise PortProblem(f"{variable}: {text!r} is not a port number")
    return int(text)


def refuse_busy(ports: Ports) -> None:
    """Raises PortProblem naming every port that something else listens on."""
    busy: list[str] = []
    for name, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                busy.append(f"{port} ({name})")
    if busy:
        what = "port is" if len(busy) == 1 else "ports are"
        raise PortProblem(
            f"{what} already in use: {', '.join(busy)}. Stop what runs there (`throughline down` if it is ours), "
            f"or choose others: {BASE_VARIABLE}=<number>, or THROUGHLINE_PORT_<NAME>=<number> for one."
        )
