"""What people read, per language: sentences by key from the catalog files, chosen by Accept-Language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Annotated

from fastapi import Depends, Header, Response

from shared.documents import read_yaml

DEFAULT = "en"
LANGUAGES = (DEFAULT, "de")
_READ_AT_MOST = 200


@dataclass(frozen=True, slots=True)
class Wording:
    """The sentences of one language."""

    language: str
    sentences: Mapping[str, str]

    def say(self, key: str, **facts: object) -> str:
        """The sentence for the key with its facts in place; an unknown key of a known family reads as itself."""
        sentence = self.sentences.get(key)
        return _readable(key) if sentence is None else sentence.format_map(facts)

    def say_or(self, key: str, otherwise: str) -> str:
        """The sentence for the key, or the other one where the catalog has none."""
        return self.sentences.get(key, otherwise)

    def count(self, key: str, number: int, **facts: object) -> str:
        """The sentence for none, one or many: `<key>.none`, `<key>.one`, `<key>.many`."""
        form = {0: "none", 1: "one"}.get(number, "many")
        return self.say(f"{key}.{form}", number=number, **facts)


@cache
def wording(language: str) -> Wording:
    """The wording of a language."""
    text = files("experience_apis.wording").joinpath(f"{language}.yaml").read_text("utf-8")
    families: Mapping[str, Mapping[str, str]] = read_yaml(text)
    return Wording(
        language, {f"{family}.{key}": said for family, sentences in families.items() for key, said in sentences.items()}
    )


def best_language(accepted: str | None) -> str:
    """The language to answer in: the best-weighted one we speak, else English."""
    wanted: list[tuple[float, int, str]] = []
    for place, part in enumerate((accepted or "")[:_READ_AT_MOST].split(",")):
        tag, _, weight = part.strip().partition(";")
        language = tag.strip().lower().partition("-")[0]
        quality = _quality(weight)
        if language in LANGUAGES and quality > 0:
            wanted.append((-quality, place, language))
    return min(wanted)[2] if wanted else DEFAULT


async def asked_wording(
    response: Response,
    accept_language: Annotated[
        str | None,
        Header(
            alias="Accept-Language",
            max_length=1000,
            description="Language of the texts: en (default) or de; anything else is answered in English.",
            examples=["de"],
        ),
    ] = None,
) -> Wording:
    """The wording that the request asks for; the answer says which it is."""
    chosen = wording(best_language(accept_language))
    response.headers["Content-Language"] = chosen.language
    response.headers["Vary"] = "Accept-Language"
    return chosen


AskedWording = Annotated[Wording, Depends(asked_wording)]


def _quality(weight: str) -> float:
    name, _, number = weight.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(number)
    except ValueError:
        return 0.0


def _readable(key: str) -> str:
    return key.rpartition(".")[2].replace("_", " ").capitalize()
