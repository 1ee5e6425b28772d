"""What a portal is made of, kept for a while: what its stages mean, who its owners are, which objects are its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shared.errors.taxonomy import FieldFinding, Misconfigured, NotFound, VendorDrift
from system_apis.connectors.hubspot.client import HubspotClient
from system_apis.connectors.hubspot.payloads import OwnerFacts, PipelineFacts, PropertyFacts, SchemaFacts
from system_apis.ports.kept import Kept
from system_apis.ports.schema import FieldFacts

_SECONDS = 300.0
_OWN_OBJECTS = "tl_"


class Directory:
    """The portal's own words, looked up."""

    def __init__(self, client: HubspotClient) -> None:
        self._client = client
        self._stages = Kept(self._read_stages, seconds=_SECONDS)
        self._owners = Kept(self._read_owners, seconds=_SECONDS)
        self._schemas = Kept(self._read_schemas, seconds=_SECONDS)

    async def is_won(self, pipeline: str, stage: str, *, seems: bool | None) -> bool:
        """Whether the pipeline's metadata says that the stage is closed and certain; its name says nothing.

        `seems` is what the deal itself shows: where the two differ, somebody may just have edited the pipeline.
        """
        stages = await self._stages.get()
        verdict = stages.get((pipeline, stage))
        if verdict is None or verdict is not bool(seems):
            stages = await self._stages.get(younger_than=0.0)
            verdict = stages.get((pipeline, stage))
        if verdict is None:
            sentence = f"{self._client.system} has a deal in stage {stage}, which pipeline {pipeline} lacks."
            raise VendorDrift(sentence, findings=[FieldFinding("dealstage", "is in no pipeline")])
        return verdict

    async def owner_name(self, owner_id: str) -> str | None:
        """The name of a user who owns deals; None when nobody knows it."""
        return await self._owners.find(lambda held: held.get(owner_id))

    async def find_object(self, name: str) -> str | None:
        """An object by its name as paths take it: standard ones as they are, the portal's own by their type id."""
        if not name.startswith(_OWN_OBJECTS):
            return name
        schema = (await self._schemas.get()).get(name)
        return schema.object_type_id if schema else None

    async def object(self, name: str) -> str:
        """The same. Raises Misconfigured where the portal has no such object."""
        found = await self.find_object(name)
        if found is None:  # it may have been made since
            await self._schemas.get(younger_than=0.0)
            found = await self.find_object(name)
        if found is None:
            raise Misconfigured(f"{self._client.system}: the portal has no custom object {name}")
        return found

    async def describe(self, objects: Sequence[str]) -> Mapping[str, Sequence[FieldFacts]]:
        """Object → its properties; what the portal does not have is left out. Always asked afresh."""
        schemas = await self._schemas.get(younger_than=0.0)
        told: dict[str, Sequence[FieldFacts]] = {}
        for name in objects:
            kind = await self.find_object(name)
            if kind is None:
                continue
            required = schemas[name].required if name in schemas else ()
            try:
                listed = await self._client.results(self._client.paths.properties(kind), PropertyFacts)
            except NotFound:
                continue
            told[name] = [_facts(one, is_required=one.name in required) for one in listed]
        return told

    async def _read_stages(self) -> dict[tuple[str, str], bool]:
        pipelines = await self._client.results(self._client.paths.pipelines("deals"), PipelineFacts)
        return {
            (pipeline.id, stage.id): stage.metadata.is_closed and stage.metadata.probability == 1
            for pipeline in pipelines
            for stage in pipeline.stages
        }

    async def _read_owners(self) -> dict[str, str]:
        owners = await self._client.results(self._client.paths.owners(), OwnerFacts)
        named = {owner.id: " ".join(filter(None, (owner.first_name, owner.last_name))) for owner in owners}
        return {owner.id: named[owner.id] or owner.email or owner.id for owner in owners}

    async def _read_schemas(self) -> dict[str, SchemaFacts]:
        schemas = await self._client.results(self._client.paths.schemas, SchemaFacts)
        return {schema.name: schema for schema in schemas}


def _facts(told: PropertyFacts, *, is_required: bool) -> FieldFacts:
    """Lists that the portal fills from elsewhere (owners) are open to us."""
    values = () if told.external_options else tuple(option.value for option in told.options)
    return FieldFacts(told.name, told.type, told.label, is_required, told.is_writable, values)
