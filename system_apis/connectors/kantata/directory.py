"""Whose the account's workspaces and stories are, and who its people are; asked once and remembered."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from system_apis.connectors.kantata.client import KantataWire
from system_apis.connectors.kantata.custom_fields import demand, included, taken
from system_apis.connectors.kantata.payloads import PROJECT, WORKSTREAM, Part, Place, Role, User, our_ids, role_name
from system_apis.fields import EntityFields
from system_apis.ports.binding import Binding

_PEOPLE_FRESH = 60.0


@dataclass(frozen=True, slots=True)
class Person:
    """Our id, name and role of a person of the account."""

    id: str
    name: str
    role: str | None


class Directory:
    """Whose the workspaces and stories of the account are, and who its people are; remembered.

    Whose a workspace or story is never changes once our reference is there; roles do, so people are forgotten again.
    """

    def __init__(self, binding: Binding, wire: KantataWire, people: EntityFields) -> None:
        """`people`: where the account's people keep what we read of them."""
        self._binding = binding
        self._wire = wire
        self._places = people
        self._project_ids: dict[str, str] = {}
        self._workstream_ids: dict[str, str] = {}
        self._people: dict[str, Person] = {}
        self._people_read_at = 0.0

    async def projects(self, workspaces: Iterable[str]) -> dict[str, str]:
        """Our project of each workspace; those that are not ours are left out."""
        wanted = set(workspaces)
        if unknown := sorted(wanted - self._project_ids.keys(), key=int):
            found = await self._wire.find_only("workspaces", unknown, archived="include", include="external_references")
            held = our_ids(found.all(Part), found.references(), PROJECT)
            self._project_ids |= {ref: number for number, ref in held.items()}
        return {ref: self._project_ids[ref] for ref in wanted if ref in self._project_ids}

    async def workstreams(self, stories: Iterable[str | None]) -> dict[str, str]:
        """Our workstream of each story: its own, else that of the deliverable it hangs under."""
        wanted = {story for story in stories if story}
        if unknown := sorted(wanted - self._workstream_ids.keys(), key=int):
            found = await self._wire.find_only("stories", unknown, include="workspace,root,external_references")
            rows = found.all(Place)
            held = our_ids(rows, found.references(), WORKSTREAM)
            self._workstream_ids |= {ref: number for number, ref in held.items()}
            beneath = {row.id: row.root_id for row in rows if row.id not in self._workstream_ids and row.root_id}
            await self.workstreams(set(beneath.values()) - set(unknown))
            held = {ref: self._workstream_ids.get(root) for ref, root in beneath.items()}
            self._workstream_ids |= {ref: number for ref, number in held.items() if number}
        return {ref: self._workstream_ids[ref] for ref in wanted if ref in self._workstream_ids}

    async def people(self, users: Iterable[str]) -> dict[str, Person]:
        """Name and role of each person."""
        now = time.monotonic()
        if now - self._people_read_at > _PEOPLE_FRESH:
            self._people, self._people_read_at = {}, now
        if unknown := sorted(set(users) - self._people.keys(), key=int):
            found = await self._wire.find_only(
                "users", unknown, on_my_account=True, include=included(self._places, "role")
            )
            await demand(self._wire, "User", found, self._places)
            roles = found.side("roles", Role)
            for user in taken(found, self._places, User):
                number = self._binding.identify("resource", user.id)
                self._people[user.id] = Person(number, user.full_name, role_name(user.role_id, roles))
        return self._people
