"""Ground of every room that writes: whose tenant it is, how it is reached, and one writer per record."""

from __future__ import annotations

from system_apis.connectors.s4hana.client import S4Client
from system_apis.connectors.s4hana.directory import Directory
from system_apis.connectors.s4hana.settings import Settings
from system_apis.fields import FieldMap
from system_apis.ports.binding import Binding
from system_apis.ports.writers import Writers


class Desk:
    """What customers, projects, contracts and invoices are written with."""

    def __init__(
        self, binding: Binding, client: S4Client, directory: Directory, fields: FieldMap, settings: Settings
    ) -> None:
        self._binding = binding
        self._client = client
        self._directory = directory
        self._fields = fields
        self._settings = settings
        self._writers = Writers(directory.forget)
