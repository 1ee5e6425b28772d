"""Code that makes a call, in the languages people ask for; text only, nothing is called."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, urlencode

LANGUAGES = (("curl", "curl", "bash"), ("python", "Python", "python"), ("javascript", "JavaScript", "javascript"))


@dataclass(frozen=True, slots=True)
class Call:
    """A call with example values in place."""

    base: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: Any = None
    form: bool = False
    is_public: bool = False

    @property
    def address(self) -> str:
        """Where it goes."""
        return f"{self.base}{self.path}" + (f"?{urlencode(self.query)}" if self.query else "")

    @property
    def shown_headers(self) -> tuple[tuple[str, str], ...]:
        """The headers without the token."""
        if self.body is None:
            return self.headers
        kind = "application/x-www-form-urlencoded" if self.form else "application/json"
        return (*self.headers, ("Content-Type", kind))


def placed(path: str, values: dict[str, str]) -> str:
    """The path with its parameters filled in."""
    for name, value in values.items():
        path = path.replace("{" + name + "}", quote(value, safe=""))
    return path


def sample(call: Call, language: str) -> str:
    """The call in a language."""
    return {"curl": _curl, "python": _python, "javascript": _javascript}[language](call)


def _curl(call: Call) -> str:
    lines = [f'curl "{call.address}"']
    if call.method != "GET":
        lines[0] = f'curl -X {call.method} "{call.address}"'
    if not call.is_public:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    lines += [f'-H "{name}: {value}"' for name, value in call.shown_headers]
    if call.body is not None:
        text = urlencode(call.body) if call.form else json.dumps(call.body, indent=2, ensure_ascii=False)
        lines.append("-d '" + text.replace("'", "'\\''") + "'")
    return " \\\n  ".join(lines)


def _python(call: Call) -> str:
    lines = ["import os", "", "import httpx", ""]
    headers = {} if call.is_public else {"Authorization": f"Bearer {_TOKEN}"}
    headers |= dict(call.headers)
    lines.append("answer = httpx.request(")
    lines += [f'    "{call.method}",', f'    "{call.base}{call.path}",']
    if call.query:
        lines.append(f"    params={_literal(dict(call.query))},")
    if headers:
        lines.append(
            f"    headers={_literal(headers)},".replace(f'"Bearer {_TOKEN}"', '"Bearer " + os.environ["TOKEN"]')
        )
    if call.body is not None:
        lines.append(f"    {'data' if call.form else 'json'}={_literal(call.body)},")
    lines += [")", "answer.raise_for_status()", "print(answer.json())"]
    if call.is_public:
        lines = lines[2:]
    return "\n".join(lines)


def _javascript(call: Call) -> str:
    headers = {} if call.is_public else {"Authorization": f"Bearer {_TOKEN}"}
    headers |= dict(call.shown_headers)
    options: list[str] = [] if call.method == "GET" else [f'  method: "{call.method}",']
    if headers:
        shown = json.dumps(headers, indent=2).replace("\n", "\n  ").replace(f'"Bearer {_TOKEN}"', "`Bearer ${token}`")
        options.append(f"  headers: {shown},")
    if call.body is not None:
        text = json.dumps(call.body, indent=2, ensure_ascii=False).replace("\n", "\n  ")
        options.append(f"  body: new URLSearchParams({text})," if call.form else f"  body: JSON.stringify({text}),")
    told = "{\n" + "\n".join(options) + "\n}" if options else ""
    arguments = f'"{call.address}"' + (f", {told}" if told else "")
    return (
        f"const answer = await fetch({arguments});\n"
        "if (!answer.ok) throw new Error((await answer.json()).detail);\n"
        "console.log(await answer.json());"
    )


_TOKEN = "@@token@@"  # noqa: S105 - a place holder


def _literal(value: Any, depth: int = 1) -> str:
    """A Python literal, laid out over lines like JSON."""
    pad, end = "    " * (depth + 1), "    " * depth
    if isinstance(value, dict) and value:
        rows = [f"{pad}{json.dumps(str(name))}: {_literal(one, depth + 1)}," for name, one in value.items()]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        return "{\n" + "\n".join(rows) + f"\n{end}}}"
    if isinstance(value, list) and value:
        rows = [f"{pad}{_literal(one, depth + 1)}," for one in value]  # pyright: ignore[reportUnknownVariableType]
        return "[\n" + "\n".join(rows) + f"\n{end}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return repr(cast("object", value))
