"""Runs one program and ends it when whoever asked for it is gone (our input closes then); standard library only."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

_PATIENCE = 8.0


def main() -> int:
    """Start, wait for the end of the program or of our input, tidy up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--user", type=int, help="user id to run as (root only)")
    parser.add_argument("--signal", default="SIGTERM", help="the polite way to end it")
    parser.add_argument("--remove", type=Path, action="append", default=[], help="removed at the end")
    parser.add_argument("command", nargs="+")
    asked = parser.parse_args()
    for polite in (signal.SIGINT, signal.SIGTERM):
        signal.signal(polite, _close_input)
    child = subprocess.Popen(  # noqa: S603 - our own command, no shell
        asked.command,
        stdin=subprocess.DEVNULL,
        user=asked.user,
        group=asked.user,
        extra_groups=None if asked.user is None else [],
        start_new_session=True,
    )
    threading.Thread(target=_end_with_input, args=(child, asked.signal), daemon=True).start()
    code = child.wait()
    for path in asked.remove:
        shutil.rmtree(path, ignore_errors=True)
    return code


def _close_input(*_: object) -> None:
    """As if whoever asked for the program was gone."""
    os.close(0)


def _end_with_input(child: subprocess.Popen[bytes], polite: str) -> None:
    try:
        while os.read(0, 1024):
            pass
    except OSError:
        pass
    child.send_signal(signal.Signals[polite])
    try:
        child.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
