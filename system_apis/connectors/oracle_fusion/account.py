"""What all rooms of one tenant's pod share: client, directory, mapping of fields, one writer per record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from shared.outbound import drift
from system_apis.connectors.oracle_fusion.client import VENDOR, FusionClient
from system_apis.connectors.oracle_fusion.directory import Directory
from system_apis.connectors.oracle_fusion.settings import PodSettings
from system_apis.fields import FieldMap
from system_apis.ports.binding import Binding
from system_apis.ports.writers import Writers

Model = TypeVar("Model")
Body = dict[str, Any]


class Account:
    """One tenant's pod."""

    def __init__(self, binding: Binding, client: FusionClient, fields: FieldMap, settings: PodSettings) -> None:
        self.binding = binding
        self.client = client
        self.fields = fields
        self.settings = settings
        self.directory = Directory(client, fields, item_kind=settings.item_kind)
        self.writers = Writers(self.directory.forget)

    def take(self, entity: str, row: Mapping[str, Any], model: type[Model]) -> Model:
        """A row as the payload of an entity, the tenant's own fields put right first."""
        places = self.fields[entity]
        return drift(VENDOR, model, places.take(self.client.whole(row, places.paths())))

    def give(self, entity: str, body: Mapping[str, Any]) -> Body:
        """A body as the tenant's pod wants it."""
        return self.fields[entity].give(body)
