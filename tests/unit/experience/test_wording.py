"""Every language says everything, with the same facts, and the right one is chosen."""

from __future__ import annotations

from string import Formatter

import pytest

from experience_apis.wording.catalog import LANGUAGES, best_language, wording


def facts_of(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_sentence_with_the_same_facts(language: str) -> None:
    english, other = wording("en").sentences, wording(language).sentences
    assert set(other) == set(english)
    assert {key: facts_of(said) for key, said in other.items()} == {key: facts_of(s) for key, s in english.items()}


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        (None, "en"),
        ("", "en"),
        ("de", "de"),
        ("de-AT,en;q=0.9", "de"),
        ("en,de", "en"),
        ("fr,de;q=0.3,en;q=0.7", "en"),
        ("de;q=0", "en"),
        ("de;q=x,en", "en"),
        ("*;;q", "en"),
    ],
)
def test_the_best_language_we_speak_is_chosen(accepted: str | None, chosen: str) -> None:
    assert best_language(accepted) == chosen


def test_a_word_the_catalog_does_not_know_reads_as_itself() -> None:
    assert wording("en").say("finding.margin_too_low") == "Margin too low"
