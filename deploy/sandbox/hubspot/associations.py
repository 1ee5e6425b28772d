"""Associations between records: types with their labels and both directions, and who is linked to whom."""

from __future__ import annotations

from dataclasses import dataclass, field

from deploy.sandbox.hubspot.errors import HubspotError, invalid

DEFINED, USER = "HUBSPOT_DEFINED", "USER_DEFINED"
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class LinkType:
    """A type in one direction; `label` None: unlabelled. `back` is the type of the other direction."""

    category: str
    type_id: int
    label: str | None = None
    back: int = 0
    is_single: bool = False


def _standard() -> dict[Pair, list[LinkType]]:
    return {
        ("deals", "companies"): [LinkType(DEFINED, 341, None, 342), LinkType(DEFINED, 5, "Primary", 6, is_single=True)],
        ("companies", "deals"): [LinkType(DEFINED, 342, None, 341), LinkType(DEFINED, 6, "Primary", 5)],
        ("deals", "line_items"): [LinkType(DEFINED, 19, None, 20)],
        ("line_items", "deals"): [LinkType(DEFINED, 20, None, 19, is_single=True)],
        ("companies", "companies"): [
            LinkType(DEFINED, 450, None, 450),
            LinkType(DEFINED, 14, "Child to Parent Company", 13, is_single=True),
            LinkType(DEFINED, 13, "Parent to Child Company", 14),
        ],
    }


@dataclass(slots=True)
class Associations:
    """Types and links of a portal; a link always stands in both directions."""

    types: dict[Pair, list[LinkType]] = field(default_factory=_standard)
    links: dict[Pair, dict[int, dict[int, set[int]]]] = field(
        default_factory=dict[Pair, dict[int, dict[int, set[int]]]]
    )
    one_parent: bool = True
    _next_type: int = 1

    def define(self, source: str, target: str, label: str | None = None, inverse: str | None = None) -> LinkType:
        """A type of the portal's own, with its other direction."""
        there, back = self._next_type, self._next_type + 1
        self._next_type += 2
        made = LinkType(USER, there, label, back)
        self.types.setdefault((source, target), []).append(made)
        self.types.setdefault((target, source), []).append(LinkType(USER, back, inverse or label, there))
        return made

    def plain(self, source: str, target: str) -> LinkType:
        """The unlabelled type. Raises HubspotError where the objects cannot be linked."""
        found = next((one for one in self.types.get((source, target), []) if one.label is None), None)
        if found is None:
            raise invalid(f"No association type is defined between {source} and {target}")
        return found

    def type(self, source: str, target: str, category: str, type_id: int) -> LinkType:
        """A type by its number. Raises HubspotError."""
        listed = self.types.get((source, target), [])
        found = next((one for one in listed if (one.category, one.type_id) == (category, type_id)), None)
        if found is None:
            text = f"Association type {type_id} of {category} is not valid between {source} and {target}"
            raise HubspotError(400, "INVALID_ASSOCIATION_TYPE", text)
        return found

    def link(self, source: str, source_id: int, target: str, target_id: int, kind: LinkType) -> bool:
        """Link two records; whether that is new. A single type leaves the record it was on before."""
        if self.one_parent and (source, target) == ("deals", "line_items"):
            owners = self.links.get((target, source), {}).get(target_id, {})
            if owners.keys() - {source_id}:
                raise invalid(f"Line item {target_id} already belongs to another deal")
        plain = next((one for one in self.types[source, target] if one.label is None), kind)
        held = self.links.get((source, target), {}).get(source_id, {}).get(target_id, set[int]())
        if {kind.type_id, plain.type_id} <= held:
            return False
        if kind.is_single:
            self._strip(source, source_id, target, kind)
        for one in {kind, plain}:
            self._put((source, target), source_id, target_id, one.type_id)
            self._put((target, source), target_id, source_id, one.back)
        return True

    def unlink(self, source: str, source_id: int, target: str, target_id: int) -> None:
        """Take every link between two records away."""
        self.links.get((source, target), {}).get(source_id, {}).pop(target_id, None)
        self.links.get((target, source), {}).get(target_id, {}).pop(source_id, None)

    def forget(self, name: str, record_id: int) -> None:
        """A record is gone, and its links with it."""
        for source, target in list(self.links):
            if source == name:
                for other in list(self.links[source, target].get(record_id, {})):
                    self.unlink(source, record_id, target, other)

    def linked(self, source: str, source_id: int, target: str) -> list[tuple[int, list[LinkType]]]:
        """Whom a record is linked to, and by which types."""
        kinds = {one.type_id: one for one in self.types.get((source, target), [])}
        held = self.links.get((source, target), {}).get(source_id, {})
        return [(other, [kinds[one] for one in sorted(types)]) for other, types in held.items()]

    def _put(self, pair: Pair, one: int, other: int, type_id: int) -> None:
        self.links.setdefault(pair, {}).setdefault(one, {}).setdefault(other, set()).add(type_id)

    def _strip(self, source: str, source_id: int, target: str, kind: LinkType) -> None:
        for other, types in list(self.links.get((source, target), {}).get(source_id, {}).items()):
            if kind.type_id in types:
                types.discard(kind.type_id)
                self.links[target, source][other][source_id].discard(kind.back)
