"""One environment: rows, writes, queries, limits and switches, with what every new environment comes with."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from deploy.sandbox.dynamics_sales.automation import Habits
from deploy.sandbox.dynamics_sales.events import STEPS, Events
from deploy.sandbox.dynamics_sales.limits import Protection
from deploy.sandbox.dynamics_sales.queries import Queries
from deploy.sandbox.dynamics_sales.records import Records, Row
from deploy.sandbox.dynamics_sales.rows import Renderer
from deploy.sandbox.dynamics_sales.schema import custom_columns, tables
from deploy.sandbox.dynamics_sales.writes import Writes
from deploy.sandbox.kit.switches import DELETED_FIELDS, UnknownSwitch, deletable, flag, taken

_HABITS: dict[str, type[Any]] = {"closed_rows": str, "lines_touch_deal": bool, "win_by_patch": bool}
_LIMITS: dict[str, type[Any]] = {"requests": int, "seconds": float, "at_once": int, "window": float}


class Environment:
    """State of the simulator; `switch` changes how it behaves, `reset` brings back the new environment."""

    def __init__(self, hear: Callable[[dict[str, Any]], None], users: Sequence[str]) -> None:
        """A new environment whose contexts go to `hear`, with these application users."""
        self._hear = hear
        self._names = tuple(users)
        self.limits = Protection()
        self.reset()

    def reset(self) -> None:
        """Everything back to how a new environment is."""
        self._ahead = timedelta()
        self.habits = Habits()
        self.records = Records()
        self.events = Events(self._hear)
        self.writes = Writes(self.records, self.events, self.habits, self.now)
        self.renderer = Renderer(self.records)
        self.queries = Queries(self.records, self.renderer, self.now)
        self.limits.forget()
        self.lines_of_401 = True
        self._seed()

    def now(self) -> datetime:
        """The environment's clock, to the second as rows keep it."""
        return (datetime.now(UTC) + self._ahead).replace(microsecond=0)

    def switch(self, name: str, value: Any) -> None:
        """Change behaviour. Raises UnknownSwitch, or TypeError for a value of another kind."""
        if name in _HABITS:
            setattr(self.habits, name, taken(name, value, _HABITS[name]))
        elif name.startswith("limit_") and name.removeprefix("limit_") in _LIMITS:
            part = name.removeprefix("limit_")
            setattr(self.limits, part, taken(name, value, _LIMITS[part]))
        elif name == "advance_days":
            self._ahead += timedelta(days=taken(name, value, float))
        elif name == "page_size":
            self.queries.most = taken(name, value, int)
        elif name == "delta_days":
            self.queries.tracking.days = taken(name, value, float)
        elif name == "expired_delta_status":
            self.queries.tracking.expired_status = taken(name, value, int)
        elif name == "bare_401":
            self.lines_of_401 = not flag(name, value)
        elif name == DELETED_FIELDS:
            self.records.schema.delete_columns(deletable(value, custom_columns()))
        elif name == "steps":
            self.events.steps = frozenset(map(str, value)) & frozenset(STEPS)
        else:
            raise UnknownSwitch(name)

    def user_id(self, name: str | None) -> str | None:
        """The id of an application user, or None."""
        return self._users.get(name or "")

    def records_counts(self) -> dict[str, int]:
        """Rows per table."""
        return self.records.counts()

    def spend(self, user: str, began: float) -> None:
        """A request of the user that began then is done."""
        self.limits.done(user, time.monotonic() - began)

    def _seed(self) -> None:
        self._users = {name: self._put("systemuser", fullname=name, isdisabled=False) for name in self._names}
        self.business_unit_id = self._put("businessunit", name="harbour")
        money: Row = {"currencysymbol": "$", "currencyprecision": 2, "exchangerate": Decimal(1)}
        currency = self._put("transactioncurrency", currencyname="US Dollar", isocurrencycode="USD", **money)
        self.writes.base_currency_id = currency
        self._put("uom", name="Primary Unit", quantity=Decimal(1))
        self.writes.commit()

    def _put(self, of: str, /, **values: Any) -> str:
        table = tables()[of]
        row_id = self.records.new_id()
        moment = self.now()
        row: Row = dict.fromkeys(table.columns)
        row |= {"statecode": 0, "statuscode": 1} if "statecode" in table.columns else {}
        row |= {"createdon": moment, "modifiedon": moment, "versionnumber": self.records.next_version()}
        self.records.insert(of, row_id, {**row, **values, table.id_column: row_id})
        return row_id
