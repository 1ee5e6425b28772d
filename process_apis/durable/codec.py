"""How workflow requests, step results and errors are stored: JSON with named models, never pickle."""

from __future__ import annotations

import typing
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, cast

import orjson
from dbos import Serializer
from pydantic import BaseModel

from shared.errors.taxonomy import Defect, FieldFinding, PlatformError, error_named

_MODELS: dict[str, type[BaseModel]] = {}
_TAG = "$"


def know(*models: type[BaseModel]) -> None:
    """Let these models be stored, by class name; two models of one name are refused. Repeat: nothing more."""
    for model in models:
        other = _MODELS.setdefault(model.__name__, model)
        if other is not model and other.__module__ != model.__module__:
            message = f"two models are named {model.__name__}: {other.__module__} and {model.__module__}"
            raise TypeError(message)
        _MODELS[model.__name__] = model


def know_signature(act: Callable[..., Any]) -> None:
    """Let every model in the annotations of a step or workflow be stored."""
    for hint in typing.get_type_hints(act).values():
        know(*_models_in(hint))


def _models_in(hint: Any) -> list[type[BaseModel]]:
    if isinstance(hint, type) and not typing.get_args(hint):
        return [hint] if issubclass(hint, BaseModel) else []
    return [model for part in typing.get_args(hint) for model in _models_in(part)]


def encode(value: Any) -> str:
    """The value as JSON text. Raises TypeError for a model or type nobody declared."""
    return orjson.dumps(_packed(value)).decode()


def decode(text: str) -> Any:
    """The value again: models as themselves, errors as errors of our taxonomy, tuples as lists."""
    return _unpacked(orjson.loads(text))


def _packed(value: Any) -> Any:  # noqa: C901, PLR0911 - one line per kind of value reads best
    match value:
        case None | bool() | int() | str() if not isinstance(value, Enum):
            return value
        case float():
            return value
        case Enum():
            return value.value
        case BaseModel():
            return _tagged("model", type(value).__name__, _dumped(value))
        case Decimal():
            return _tagged("decimal", format(value, "f"))
        case datetime():
            return _tagged("datetime", value.isoformat())
        case date():
            return _tagged("date", value.isoformat())
        case BaseException():
            return _packed_error(value)
        case dict():
            members = cast("dict[Any, Any]", value)
            packed = {str(key): _packed(member) for key, member in members.items()}
            return _tagged("dict", *packed.items()) if _TAG in packed else packed
        case list() | tuple() | set() | frozenset():
            return [_packed(item) for item in cast("list[Any]", value)]
        case _:
            message = f"a {type(value).__name__} cannot be stored by the durable engine"
            raise TypeError(message)


def _tagged(kind: str, *content: Any) -> dict[str, Any]:
    return {_TAG: kind, "of": list(content)}


def _dumped(model: BaseModel) -> Any:
    if _MODELS.get(type(model).__name__) is not type(model):
        message = f"model {type(model).__name__} is not declared to the durable engine"
        raise TypeError(message)
    return model.model_dump(mode="json")


def _packed_error(error: BaseException) -> dict[str, Any]:
    known = error if isinstance(error, PlatformError) else as_platform_error(error)
    findings = [finding.as_json() for finding in known.findings]
    return _tagged("error", known.code, known.message, findings, known.detail, known.retry_after, _packed(known.extra))


def as_platform_error(error: BaseException) -> PlatformError:
    """An error from outside the taxonomy as a Defect that keeps its words as internal detail."""
    return Defect(detail=f"{type(error).__name__}: {error}"[:2000])


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    members = cast("dict[str, Any]", value)
    if _TAG not in members:
        return {key: _unpacked(member) for key, member in members.items()}
    return _OPENERS[members[_TAG]](*members["of"])


def _opened_model(name: str, content: Any) -> BaseModel:
    if name not in _MODELS:
        message = f"stored model {name} is not declared to the durable engine"
        raise TypeError(message)
    return _MODELS[name].model_validate(content)


def _opened_error(
    code: str,
    message: str,
    findings: list[dict[str, str]],
    detail: str | None,
    retry_after: float | None,
    extra: dict[str, Any],
) -> PlatformError:
    named = error_named(code)
    kind = Defect if named is None or named is PlatformError else named
    return kind(
        message,
        findings=[FieldFinding(**finding) for finding in findings],
        detail=detail,
        retry_after=retry_after,
        extra=_unpacked(extra),
    )


def _opened_dict(*pairs: list[Any]) -> dict[str, Any]:
    return {key: _unpacked(member) for key, member in pairs}


_OPENERS: dict[str, Callable[..., Any]] = {
    "model": _opened_model,
    "decimal": Decimal,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "error": _opened_error,
    "dict": _opened_dict,
}


class JsonCodec(Serializer):
    """The engine's serializer; its name is stored with every row it wrote."""

    def serialize(self, data: Any) -> str:
        """JSON text of a value."""
        return encode(data)

    def deserialize(self, serialized_data: str) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - the library calls its own self `cls`
        """The value of JSON text."""
        return decode(serialized_data)

    def name(self) -> str:
        """Marks rows as ours."""
        return "throughline_json"
