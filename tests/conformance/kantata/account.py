"""A Kantata account under test: the vendor's wire by hand, and plans as the process tier makes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from deploy.sandbox.kantata.simulator import TOKEN
from system_apis.ports.binding import Binding

TENANT = "harbour"


def binding(base_url: str, *, token: str = TOKEN) -> Binding:
    return Binding(TENANT, "kantata", {"base_url": base_url}, {"access_token": token})


class Account:
    """The account as a person at the vendor's API sees it."""

    def __init__(self, base_url: str, client: httpx.AsyncClient, *, token: str = TOKEN) -> None:
        self.root = f"{base_url}/api/v1"
        self.client = client
        self.headers = {"authorization": f"Bearer {token}"}

    async def call(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, body: Any = None
    ) -> httpx.Response:
        return await self.client.request(method, f"{self.root}/{path}", params=params, json=body, headers=self.headers)

    async def get(self, path: str, **params: Any) -> Any:
        answer = await self.call("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def rows(self, name: str, **params: Any) -> list[dict[str, Any]]:
        document = await self.get(name, per_page=200, **params)
        return [document[name][result["id"]] for result in document["results"]]

    async def post(self, path: str, root: str, body: Any, **params: Any) -> Any:
        answer = await self.call("POST", path, params=params, body={root: body})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def make(self, path: str, root: str, body: Any) -> str:
        """Create one; its id."""
        return (await self.post(path, root, body))["results"][0]["id"]

    async def put(self, path: str, root: str, body: Any) -> Any:
        answer = await self.call("PUT", path, body={root: body})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def field(self, name: str, kind: str = "string", subject: str = "Story", choices: Sequence[str] = ()) -> str:
        """A custom field of the account; its id."""
        held = await self.make("custom_field_sets", "custom_field_set", {"name": name, "subject_type": subject})
        listed = [{"label": label} for label in choices]
        body = {"name": name, "value_type": kind, "custom_field_set_id": held, "choices": listed}
        return await self.make("custom_fields", "custom_field", body)

    async def choices(self, field: str) -> list[dict[str, Any]]:
        """What a field of a closed list may say."""
        document = await self.get("custom_fields", only=field, include="choices")
        return [row for row in document["custom_field_choices"].values() if row["custom_field_id"] == field]

    async def value(self, field: str, subject_id: str, value: Any, subject: str = "Story") -> None:
        """What a person notes there."""
        body = {"subject_type": subject, "subject_id": subject_id, "custom_field_id": field, "value": value}
        await self.make("custom_field_values", "custom_field_value", body)

    async def workspace(self, **fields: Any) -> str:
        body = {"title": "By hand", "creator_role": "maven", "require_time_approvals": True, **fields}
        return await self.make("workspaces", "workspace", body)

    async def entries(self, workspace: str, count: int = 1, **fields: Any) -> list[str]:
        """Book so many entries; their ids."""
        made: list[str] = []
        for first in range(0, count, 100):
            bodies = [
                {
                    "workspace_id": workspace,
                    "date_performed": "2026-02-03",
                    "time_in_minutes": 60 + number,
                    "external_reference": {
                        "service_name": "firm",
                        "service_model": "time_entry",
                        "service_model_ref": f"E-{workspace}-{number}",
                    },
                    **fields,
                }
                for number in range(first, min(count, first + 100))
            ]
            document = await self.post("time_entries", "time_entries", bodies)
            made += [result["id"] for result in document["results"]]
        return made

    async def approve(self, workspace: str, entries: Sequence[str]) -> str:
        """Submit and approve; the submission's id."""
        submission = await self.make(
            "timesheet_submissions", "timesheet_submission", {"workspace_id": workspace, "line_item_ids": list(entries)}
        )
        await self.post("timesheet_approvals", "resolution", {"submission_ids": [submission]})
        return submission
