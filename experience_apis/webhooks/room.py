"""The room of webhooks: its stores, its rounds and the judgement of addresses, put together once."""

from __future__ import annotations

from dataclasses import dataclass

from experience_apis.desk.sealing import TextSeal
from experience_apis.webhooks.delivery_store import DeliveryStore
from experience_apis.webhooks.endpoint_store import EndpointStore
from experience_apis.webhooks.rounds import Line, Rounds
from shared.errors.taxonomy import FieldFinding, InvalidRequest, PlatformError
from shared.outbound.courier import Courier
from shared.outbound.guarded import AddressRules, admitted
from shared.persistence import Bus, Database, DeadLetters


@dataclass(frozen=True, slots=True)
class WebhookRoom:
    """Stands at `app.state.webhooks`."""

    endpoints: EndpointStore
    deliveries: DeliveryStore
    rounds: Rounds
    rules: AddressRules
    bus: Bus

    @classmethod
    def over(cls, database: Database, *, sealing_secret: str, rules: AddressRules, audit: Line) -> WebhookRoom:
        """The room over the tier's database; `rules` say which addresses may be named and how long one waits."""
        seal = TextSeal(sealing_secret, "webhook secrets")
        deliveries = DeliveryStore(database, seal)
        rounds = Rounds(deliveries, Courier(rules), audit)
        return cls(EndpointStore(database, seal), deliveries, rounds, rules, Bus(dead_letters=DeadLetters(database)))

    async def open(self, nats_url: str | None) -> None:
        """Hear of facts, where there is a bus, and begin the rounds."""
        if nats_url is not None:
            await self.bus.connect(nats_url, name="throughline-experience")
            await self.rounds.listen(self.bus)
        self.rounds.start()

    async def aclose(self) -> None:
        """End both; what is in hand falls due again."""
        await self.bus.aclose()
        await self.rounds.stop()

    async def refuse_bad_address(self, url: str) -> None:
        """Refuse an address nobody may name, before it is kept. Raises InvalidRequest naming the field."""
        try:
            await admitted(url, self.rules)
        except PlatformError as error:
            raise InvalidRequest(error.message, findings=[FieldFinding("body.url", error.message)]) from error
