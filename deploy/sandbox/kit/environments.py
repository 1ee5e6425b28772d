"""Environments of their own for programs whose pins clash with ours: made from a lock, once per machine, and kept."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.local.processes import StartFailed

_SAID = 800
_OURS = Path(sys.executable)
_LAST_TRY = "Retry(total=0"  # how pip announces it; nothing else in its output tells a silent registry from a bad lock


class InstallFailed(StartFailed):
    """Something could not be installed; the message says what and why."""


class RegistryUnreachable(InstallFailed):
    """Nothing is wrong but that the package registry does not answer from here."""


def cache(name: str, variable: str) -> Path:
    """Where `name` is kept: the folder the environment variable names, else one in the user's cache."""
    named = os.environ.get(variable)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named) if named else base / "throughline" / name


def edition(lock: Path, *more: str) -> str:
    """A folder name that changes with the lock, with `more`, and with the Python that runs us."""
    about = lock.read_bytes() + "\n".join([*more, sys.version[:4]]).encode()
    return hashlib.sha256(about).hexdigest()[:16]


@contextmanager
def alone(home: Path) -> Generator[None]:
    """Nobody else on this machine works in that folder meanwhile; whoever comes second waits."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def python_of(home: Path) -> Path:
    """The Python of the environment in that folder."""
    return home / "environment" / "bin" / "python"


def python_at_least(major: int, minor: int) -> Path | None:
    """A Python of this machine that is at least so new: ours, one on the path, or one installed beside ours."""
    names = [f"python{major}.{newer}" for newer in range(minor, minor + 5)]
    beside = sorted(Path(sys.base_prefix).parent.glob(f"{major}.*/bin/python{major}"))
    for found in (sys.executable, *filter(None, map(shutil.which, names)), *map(str, beside)):
        asked = [found, "-I", "-c", "import sys; print(*sys.version_info[:2])"]
        said = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 - a Python of this machine
        told = said.stdout.split()
        if not said.returncode and len(told) == len((major, minor)) and (int(told[0]), int(told[1])) >= (major, minor):
            return Path(found)
    return None


def install(home: Path, lock: Path, what: str, python: Path = _OURS) -> None:
    """Exactly what the lock pins, hashes checked, wheels only; to be done `alone`. Repeat: nothing more.

    Raises RegistryUnreachable, InstallFailed.
    """
    done = home / "installed"
    if done.exists():
        return
    folder = home / "environment"
    shutil.rmtree(folder, ignore_errors=True)
    run([str(python), "-m", "venv", str(folder)], what)
    pip = [str(python_of(home)), "-m", "pip", "--quiet", "--disable-pip-version-check", "--retries", "4"]
    run([*pip, "install", "--require-hashes", "--only-binary", ":all:", "-r", str(lock)], what)
    done.touch()


def environment(lock: Path, what: str, home: Path, python: Path = _OURS) -> Path:
    """The Python of an environment with what the lock pins; made on first use, which needs the package registry.

    Raises RegistryUnreachable, InstallFailed.
    """
    with alone(home):
        install(home, lock, what, python)
    return python_of(home)


def run(command: Sequence[str], what: str, env: Mapping[str, str] | None = None) -> None:
    """A step of installing `what`. Raises RegistryUnreachable, InstallFailed with the end of what the step said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)  # noqa: S603 - our own command
    if not done.returncode:
        return
    if _LAST_TRY in done.stderr:
        raise RegistryUnreachable(f"{what} could not be installed: the package registry does not answer from here")
    said = (done.stderr or done.stdout).strip()[-_SAID:]
    raise InstallFailed(f"{what} could not be installed: {' '.join(command[:5])} …: {said}")
