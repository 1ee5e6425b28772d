"""PostgreSQL and the bus: engine, event log and relay, inbox, dead letters, migrations; no business rule enters."""

from shared.persistence.bus import Bus, Subscription
from shared.persistence.database import Database, Transaction
from shared.persistence.dead_letter_store import DeadLetter, DeadLetters
from shared.persistence.event_log_store import EventLog, LoggedEvent
from shared.persistence.inbox_store import Inbox
from shared.persistence.migrations import upgrade
from shared.persistence.relay import Relay

__all__ = [
    "Bus",
    "Database",
    "DeadLetter",
    "DeadLetters",
    "EventLog",
    "Inbox",
    "LoggedEvent",
    "Relay",
    "Subscription",
    "Transaction",
    "upgrade",
]
