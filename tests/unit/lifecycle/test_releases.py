"""What was published stays; what comes next carries a number that says what it asks of callers."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from deploy.local.specs_command import app, check_findings
from shared.serving.differences.changelog import read_changelog, written_changelog
from shared.serving.differences.changes import Change, Weight
from shared.serving.differences.published import next_number
from shared.serving.differences.releases import PublishingRefused, Shelf

from .small_documents import ASYNCAPI, OPENAPI, Node, boat, edited

ROOT = Path(__file__).parents[3]
NAME = "experience-boats.v1"
FIRST, SECOND = date(2026, 11, 20), date(2026, 12, 1)


def write(folder: Path, document: Node, number: str = "1.0.0", name: str = NAME) -> None:
    document = edited(document, lambda one: one["info"].update(version=number))
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")


def with_sails(document: Node = OPENAPI) -> Node:
    return edited(document, lambda one: boat(one).update(sails={"type": "integer"}))


def without_note(document: Node = OPENAPI) -> Node:
    return edited(document, lambda one: boat(one).pop("note"))


def reworded(document: Node = OPENAPI) -> Node:
    return edited(document, lambda one: one["info"].update(description="All about boats."))


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    write(tmp_path, OPENAPI)
    shelf = Shelf(tmp_path)
    shelf.publish(FIRST)
    return shelf


def test_what_is_published_keeps_its_promise_until_something_changes(shelf: Shelf) -> None:
    assert shelf.findings() == []
    assert [(one.number, one.released_on) for one in shelf.releases()[NAME]] == [("1.0.0", FIRST)]


def test_a_new_document_waits_to_be_published_unless_it_is_a_preview(tmp_path: Path) -> None:
    write(tmp_path, OPENAPI)
    assert Shelf(tmp_path).findings() == [f"{NAME}: 1.0.0 is not published yet"]
    write(tmp_path, edited(OPENAPI, lambda one: one["info"].update({"x-lifecycle": "preview"})))
    assert Shelf(tmp_path).findings() == []
    assert Shelf(tmp_path).publish(FIRST) == ()


@pytest.mark.parametrize("change", ["edited", "deleted", "smuggled in"])
def test_nobody_changes_what_was_published(shelf: Shelf, change: str) -> None:
    path = shelf.folder / "releases" / NAME / "1.0.0.yaml"
    if change == "edited":
        path.write_text(path.read_text(encoding="utf-8").replace("Boats", "Ships"), encoding="utf-8")
    elif change == "deleted":
        path.unlink()
    else:
        path.with_name("1.0.1.yaml").write_text("openapi: 3.1.0", encoding="utf-8")
    (line, *_) = shelf.findings()
    assert line.endswith(("was changed", "and missing", "is not in the register of releases"))
    with pytest.raises(PublishingRefused):
        shelf.publish(SECOND)


def test_line_ends_of_a_checkout_are_no_change(shelf: Shelf) -> None:
    path = shelf.folder / "releases" / NAME / "1.0.0.yaml"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert shelf.findings() == []


@pytest.mark.parametrize(
    ("document", "number", "finding"),
    [
        (with_sails(), "1.0.0", "needs the number 1.1.0"),
        (with_sails(), "1.0.1", "too small a step from 1.0.0; at least 1.1.0"),
        (with_sails(), "1.1.0", "1.1.0 is not published yet"),
        (with_sails(), "0.9.0", "belongs to another major version"),
        (with_sails(), "one", "does not read as a release number"),
        (reworded(), "1.0.0", "needs the number 1.0.1"),
        (reworded(), "1.0.1", "1.0.1 is not published yet"),
        (without_note(), "1.0.0", "breaks callers of 1.0.0 and needs a new major version"),
        (without_note(), "1.1.0", "breaks callers of 1.0.0 and needs a new major version"),
        (without_note(), "2.0.0", "belongs to another major version"),
    ],
)
def test_the_gate_says_what_number_a_change_needs(shelf: Shelf, document: Node, number: str, finding: str) -> None:
    write(shelf.folder, document, number)
    (line,) = shelf.findings()
    assert finding in line


def test_a_number_never_goes_back(shelf: Shelf) -> None:
    write(shelf.folder, with_sails(), "1.1.0")
    shelf.publish(SECOND)
    write(shelf.folder, reworded(with_sails()), "1.0.5")
    assert shelf.findings() == [f"{NAME}: release 1.0.5 is not newer than 1.1.0"]


def test_a_breaking_change_is_published_as_a_version_of_its_own_beside_the_old_one(shelf: Shelf) -> None:
    write(shelf.folder, without_note(), "2.0.0", "experience-boats.v2")
    assert [one.name for one in shelf.publish(SECOND)] == ["experience-boats.v2"]
    assert shelf.findings() == []
    (shelf.folder / f"{NAME}.yaml").unlink()
    assert shelf.findings() == [f"{NAME}: was published, and there is no such document any more"]


def with_life(**told: str) -> Node:
    return edited(
        OPENAPI, lambda one: one["info"].update({f"x-{name.replace('_', '-')}": v for name, v in told.items()})
    )


def test_a_version_is_retired_after_its_sunset_and_not_before(shelf: Shelf) -> None:
    write(shelf.folder, with_life(lifecycle="deprecated", sunset_at="2027-11-30T00:00:00Z"), "1.1.0")
    shelf.publish(SECOND)
    write(shelf.folder, with_life(lifecycle="retired", sunset_at="2027-11-30T00:00:00Z"), "1.2.0")
    early = f"{NAME}: is retired, and 1.1.0 promised that it answers until 2027-11-30T00:00:00Z"
    assert Shelf(shelf.folder, date(2027, 11, 29)).findings() == [early]
    assert Shelf(shelf.folder, date(2027, 11, 30)).findings() == [f"{NAME}: 1.2.0 is not published yet"]


def test_a_version_that_was_never_deprecated_is_not_retired(shelf: Shelf) -> None:
    write(shelf.folder, with_life(lifecycle="retired"), "1.1.0")
    (line,) = shelf.findings()
    assert "breaks callers of 1.0.0" in line


def test_the_changelog_is_made_of_the_differences(shelf: Shelf) -> None:
    write(shelf.folder, with_sails(), "1.1.0")
    write(shelf.folder, ASYNCAPI, name="events.v1")
    shelf.publish(SECOND)
    events, boats = read_changelog(shelf.folder)
    assert (boats.name, boats.version, boats.title) == ("experience-boats", "v1", "Boats")
    assert [(one.release, one.before, one.step) for one in boats.releases] == [
        ("1.1.0", "1.0.0", "minor"),
        ("1.0.0", None, "first"),
    ]
    (change,) = boats.releases[0].changes
    assert change == Change(
        Weight.ADDITIVE,
        "told_property_added",
        "Boat.sails",
        "Answers now carry `Boat.sails`.",
        ("PUT /boats/v1/boats/{boat_id}",),
    )
    assert events.releases[0].step == "first"
    text = written_changelog((events, boats))
    assert "### 1.1.0 (2026-12-01)\n\nNew:\n\n- Answers now carry `Boat.sails`. (`PUT /boats" in text


def test_a_new_major_version_is_told_against_the_last_release_of_the_one_before(shelf: Shelf) -> None:
    def moved(document: Node) -> None:
        document["paths"] = {path.replace("/v1/", "/v2/"): item for path, item in document["paths"].items()}

    write(shelf.folder, with_sails(), "1.1.0")
    shelf.publish(SECOND)
    write(shelf.folder, edited(without_note(with_sails()), moved), "2.0.0", "experience-boats.v2")
    shelf.publish(SECOND)
    _, new = read_changelog(shelf.folder)
    (notes,) = new.releases
    assert (notes.before, notes.step) == ("1.1.0", "major")
    assert [one.kind for one in notes.changes] == ["told_property_removed"]
    assert "### 2.0.0 (2026-12-01, against 1.1.0)" in written_changelog((new,))


@pytest.mark.parametrize(
    ("weights", "number"),
    [
        ((), "1.2.3"),
        (("editorial",), "1.2.4"),
        (("additive", "editorial"), "1.3.0"),
        (("breaking", "additive"), "2.0.0"),
    ],
)
def test_the_heaviest_change_decides_the_next_number(weights: tuple[str, ...], number: str) -> None:
    changes = tuple(Change(Weight(weight), "x", "x", "x") for weight in weights)
    assert next_number("1.2.3", changes) == number


def run(*words: Any) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.output


def test_the_command_tells_publishes_and_refuses(tmp_path: Path) -> None:
    write(tmp_path, OPENAPI)
    assert run("check", "--folder", tmp_path) == (1, f"{NAME}: 1.0.0 is not published yet\n")
    assert run("publish", "--folder", tmp_path) == (0, f"published: {NAME} 1.0.0\n")
    assert run("check", "--folder", tmp_path)[0] == 0
    assert run("publish", "--folder", tmp_path) == (0, "nothing to publish\n")
    write(tmp_path, without_note(), "1.1.0")
    code, told = run("publish", "--folder", tmp_path)
    assert code == 2
    assert "needs a new major version" in told
    assert not (tmp_path / "releases" / NAME / "1.1.0.yaml").exists()
    released = tmp_path / "releases" / NAME / "1.0.0.yaml"
    code, told = run("diff", released, tmp_path / f"{NAME}.yaml")
    assert code == 1
    assert told.splitlines()[-1] == "release step: major"
    assert run("diff", released, released, "--json") == (0, '{\n  "step": "none",\n  "changes": []\n}\n')
    (tmp_path / "poem.yaml").write_text("roses: red", encoding="utf-8")
    assert run("diff", released, tmp_path / "poem.yaml")[0] == 2


def test_a_changelog_that_tells_another_story_is_found(tmp_path: Path) -> None:
    write(tmp_path, OPENAPI)
    run("publish", "--folder", tmp_path)
    (tmp_path / "CHANGELOG.md").write_text("All is well.", encoding="utf-8")
    assert check_findings(tmp_path) == [f"{tmp_path / 'CHANGELOG.md'}: is out of date; run `throughline specs publish`"]


def test_our_documents_keep_what_their_releases_promise() -> None:
    """The gate: fails when a published file changes, or a document changes without the number it needs."""
    assert check_findings(ROOT / "openapi") == []
