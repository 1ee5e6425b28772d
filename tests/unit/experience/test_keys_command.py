"""`throughline keys` on a real PostgreSQL, while nothing is restarted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from deploy.local.failures import JobFailed
from deploy.local.keys_command import app
from shared.persistence.migrations import upgrade


def test_keys_are_listed_rotated_and_revoked_from_the_command_line(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    upgrade(postgres_url, "experience_apis")
    monkeypatch.setenv("THROUGHLINE_EXPERIENCE_DATABASE_URL", postgres_url)
    monkeypatch.setenv("THROUGHLINE_EXPERIENCE_SEALING_KEY", "a sealing key of tests")
    runner = CliRunner()

    def states(*command: str) -> dict[str, str]:
        done = runner.invoke(app, [*command, "--json"], catch_exceptions=False)
        return {key["kid"]: key["state"] for key in json.loads(done.output)["keys"]}

    (first,) = states("list")
    rotated = states("rotate")
    assert rotated.pop(first) == "signing"
    assert list(rotated.values()) == ["announced"]
    after = states("revoke", first, "--reason", "left on a train")
    assert after.pop(first) == "retired"
    assert sorted(after.values()) == ["announced", "signing"]
    with pytest.raises(JobFailed, match="no key"):
        runner.invoke(app, ["revoke", first], catch_exceptions=False)
    assert first in runner.invoke(app, ["list"]).output
    monkeypatch.delenv("THROUGHLINE_EXPERIENCE_DATABASE_URL")
    with pytest.raises(JobFailed, match="throughline up"):
        runner.invoke(app, ["list", "--state", str(tmp_path)], catch_exceptions=False)
