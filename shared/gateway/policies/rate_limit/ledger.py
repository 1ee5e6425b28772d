"""The ledger on Redis: one atomic script over all windows of a caller, on the storage of `limits`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from limits.aio.storage import RedisStorage
from limits.storage import storage_from_string
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError

from shared.gateway.plans import Window
from shared.gateway.policies.rate_limit.counters import SLOTS

SCHEME = "throughline+ledger"

# All times are the store's own, in milliseconds. State of a caller, one packed value:
#   fixed and aligned  {end, spent}
#   moving             {total, stamp, units, stamp, units, …}, stamps ascending
# A unit of a moving window is stamped with the end of its lease, the last moment it can be spent: whatever interval as
# long as the window one looks at, all units spent in it were in the count when the last of them was granted.
# ARGV: must, extra, lease, number of windows, {kind, quota, length} each, then {units, mark per window} per return.
_SCRIPT = f"""
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local must, extra, lease = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local count = tonumber(ARGV[4])
local packed = redis.call('GET', KEYS[1])
local state = packed and cmsgpack.unpack(packed) or {{}}
local kind, quota, length, at = {{}}, {{}}, {{}}, 5
for i = 1, count do
  kind[i], quota[i], length[i] = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  at = at + 3
end
local known = packed and true or false
while at <= #ARGV do
  local units = tonumber(ARGV[at])
  for i = 1, count do
    local mark, window = tonumber(ARGV[at + i]), state[i]
    if known and kind[i] ~= 'moving' then
      if window[1] == mark then window[2] = math.max(0, window[2] - units) end
    elseif known then
      for j = 2, #window, 2 do
        if window[j] == mark then
          local back = math.min(units, window[j + 1])
          window[j + 1], window[1] = window[j + 1] - back, window[1] - back
        end
      end
    end
  end
  at = at + count + 1
end
local room, life, lasts = math.huge, lease, 0
for i = 1, count do
  local window = state[i]
  if kind[i] == 'moving' then
    window = window or {{0}}
    local horizon, first = now - length[i], 2
    while window[first] and (window[first] <= horizon or window[first + 1] == 0) do
      window[1] = window[1] - window[first + 1]
      first = first + 2
    end
    if first > 2 then
      local kept = {{window[1]}}
      for j = first, #window do kept[#kept + 1] = window[j] end
      window = kept
    end
    room = math.min(room, quota[i] - window[1])
  else
    if not window or window[1] <= now then
      local ends = now + length[i]
      if kind[i] == 'aligned' then ends = (math.floor(now / length[i]) + 1) * length[i] end
      window = {{ends, 0}}
    end
    room = math.min(room, quota[i] - window[2])
    life = math.min(life, window[1] - now)
  end
  state[i] = window
end
room = math.max(0, room)
local granted = math.min(must, room)
granted = granted + math.min(extra, math.floor((room - granted) / 4))
local told = {{granted, life}}
for i = 1, count do
  local window, mark = state[i], 0
  if kind[i] == 'moving' then
    local slot = math.max(1, math.floor(length[i] / {SLOTS}))
    mark = math.ceil((now + life) / slot) * slot
    local last = #window
    if last > 1 and window[last - 1] > mark then mark = window[last - 1] end
    if granted > 0 then
      window[1] = window[1] + granted
      if last > 1 and window[last - 1] == mark then
        window[last] = window[last] + granted
      else
        window[last + 1], window[last + 2] = mark, granted
      end
    end
    told[#told + 1] = quota[i] - window[1]
    told[#told + 1] = (window[2] or now) + length[i] - now
    lasts = math.max(lasts, (window[#window - 1] or now) + length[i] - now)
  else
    window[2] = window[2] + granted
    mark = window[1]
    told[#told + 1] = quota[i] - window[2]
    told[#told + 1] = window[1] - now
    lasts = math.max(lasts, window[1] - now)
  end
  told[#told + 1] = mark
end
redis.call('SET', KEYS[1], cmsgpack.pack(state), 'PX', math.ceil(lasts) + 1)
return told
"""


class Return(NamedTuple):
    """Units nobody spent while their lease lasted; `marks` say where each window counted them."""

    units: int
    marks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """What one replica wants for one caller: `must` for those who wait, `extra` for those expected."""

    key: str
    windows: tuple[Window, ...]
    must: int
    extra: int
    lease_ms: int
    returns: tuple[Return, ...] = ()


class Stand(NamedTuple):
    """How one window stands on the ledger: room left, milliseconds until it frees some, where units were counted."""

    remaining: int
    resets_in_ms: int
    mark: int


class Grant(NamedTuple):
    """What the ledger gave: units that are counted already and hold for so many milliseconds."""

    units: int
    life_ms: int
    stands: tuple[Stand, ...]


class LedgerStorage(RedisStorage):
    """The Redis storage of `limits` with one script more; everything else of it works as before."""

    STORAGE_SCHEME: list[str] | None = [f"async+{SCHEME}"]  # noqa: RUF012 - the library reads it from the class

    def __init__(self, uri: str, **options: Any) -> None:
        """`uri` is `async+throughline+ledger+<scheme of redis-py>://…`; the counters' own URL stands in it whole."""
        super().__init__(str(options.pop("store", uri)), **options)
        self._client: Any = cast("Any", self.bridge).storage
        self._digest: str = ""

    async def settle(self, asks: Sequence[Ask]) -> list[Grant]:
        """Answer all asks in one exchange; each is atomic by itself.

        Raises: the errors of redis-py.
        """
        if not self._digest:
            self._digest = await self._client.script_load(_SCRIPT)
        try:
            return await self._settled(asks)
        except NoScriptError:  # the store was restarted or flushed
            self._digest = await self._client.script_load(_SCRIPT)
            return await self._settled(asks)

    async def _settled(self, asks: Sequence[Ask]) -> list[Grant]:
        pipeline = self._client.pipeline(transaction=False)
        for ask in asks:
            pipeline.execute_command("EVALSHA", self._digest, 1, ask.key, *_arguments(ask))
        return [_grant(told) for told in await pipeline.execute()]

    async def answer(self) -> None:
        """Make sure that the store answers.

        Raises: the errors of redis-py.
        """
        await self._client.ping()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def disconnect(self) -> None:
        """Drop the connections; the next exchange makes new ones."""
        await self._client.connection_pool.disconnect()


def ledger(url: str, patience: float) -> LedgerStorage:
    """The ledger on the store at `url`; no step of an exchange takes longer than `patience` seconds."""
    options: dict[str, Any] = {"retry": Retry(NoBackoff(), 1)}  # a connection the store has dropped meanwhile
    storage: Any = storage_from_string(
        f"async+{SCHEME}://",
        store=f"async+{url.replace('valkey', 'redis', 1)}",  # one protocol, one client
        implementation="redispy",
        **options,
        socket_timeout=patience,
        socket_connect_timeout=patience,
    )
    return cast("LedgerStorage", storage)


def _arguments(ask: Ask) -> list[str | int]:
    found: list[str | int] = [ask.must, ask.extra, ask.lease_ms, len(ask.windows)]
    for window in ask.windows:
        found += (window.algorithm, window.requests, window.per_seconds * 1000)
    for units, marks in ask.returns:
        found += (units, *marks)
    return found


def _grant(told: list[int]) -> Grant:
    stands = tuple(Stand(max(0, told[at]), max(0, told[at + 1]), told[at + 2]) for at in range(2, len(told), 3))
    return Grant(told[0], told[1], stands)
