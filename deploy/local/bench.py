"""`make bench`: figures of the gate and of the main job as one JSON document; how each is measured stands next door."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
from rich.console import Console

from deploy.local import bench_firm, bench_gateway
from deploy.local.bench_gateway import BenchFailed, Extent
from deploy.local.failures import JobFailed
from deploy.local.firm import FirmRefused, read_firm
from deploy.local.main_job.progress import Lines
from deploy.local.ports import PortProblem
from deploy.local.processes import StartFailed

SAMPLE_FIRM = Path(__file__).resolve().parents[1] / "sandbox" / "firm"
_AT_MOST_SECONDS = 240.0
_STOPPING_SECONDS = 20.0
_FAILURES = (BenchFailed, FirmRefused, JobFailed, PortProblem, StartFailed)
_err = Console(stderr=True, soft_wrap=True)


def main() -> None:
    """Entry point; an interruption leaves nothing running."""
    signal.signal(signal.SIGTERM, _interrupted)
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Print the document; 1 when something failed or the firm's result is not what was expected of it."""
    began = time.monotonic()
    asked = _options().parse_args(arguments)
    document: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": _machine(),
        "gateway": None,
        "firm": None,
    }
    try:
        extent = Extent(rounds=asked.rounds, seconds=asked.seconds, is_brief=asked.brief)
        document["gateway"] = asyncio.run(bench_gateway.run(extent, _tell))
        if not asked.gateway_only:
            remaining = asked.at_most - (time.monotonic() - began) - _STOPPING_SECONDS
            document["firm"] = bench_firm.run(read_firm(asked.firm), Lines(_err), at_most=remaining)
    except _FAILURES as error:
        document["failed"] = f"{type(error).__name__}: {error}"
        _tell(document["failed"])
    document["machine"]["load_average_at_end"] = _load_average()
    document["seconds"] = round(time.monotonic() - began, 1)
    print(json.dumps(document, indent=2))
    is_as_expected = document["firm"] is None or document["firm"]["as_expected"] is not False
    return 0 if is_as_expected and "failed" not in document else 1


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.bench", description=__doc__)
    parser.add_argument("--gateway-only", action="store_true", help="leave the main job out")
    parser.add_argument("--brief", action="store_true", help="leave the counters on Redis out")
    parser.add_argument("--firm", type=Path, default=SAMPLE_FIRM, help="a folder in the sample firm's format")
    parser.add_argument("--rounds", type=int, default=Extent().rounds, help="rounds of the gate's comparison")
    parser.add_argument("--seconds", type=float, default=Extent().seconds, help="seconds per server and round")
    parser.add_argument("--at-most", type=float, default=_AT_MOST_SECONDS, help="seconds for everything")
    return parser


def _machine() -> dict[str, Any]:
    """What a reader needs to judge the figures by."""
    return {
        "cores": os.cpu_count(),
        "memory_mib": round(psutil.virtual_memory().total / 2**20),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_average_at_start": _load_average(),
        "busy_percent_at_start": psutil.cpu_percent(interval=1.0),
    }


def _load_average() -> list[float]:
    return [round(one, 2) for one in os.getloadavg()]


def _tell(sentence: str) -> None:
    _err.print(sentence, highlight=False, markup=False)


def _interrupted(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
