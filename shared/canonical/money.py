"""Money: a decimal amount with its ISO 4217 currency, and how it is rounded."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from shared.canonical.references import CanonicalModel

# ISO 4217 active currency codes; the digits after the point where they are not two (list one, amendment 176).
_TWO_DIGITS = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP "
    "CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR "
    "JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN "
    "NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP "
    "SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD YER ZAR ZMW ZWG"
)
MINOR_DIGITS: dict[str, int] = {
    **dict.fromkeys(_TWO_DIGITS.split(), 2),
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
}


def _known_currency(code: str) -> str:
    if code not in MINOR_DIGITS:
        message = f"{code!r} is not an ISO 4217 currency code"
        raise ValueError(message)
    return code


Currency = Annotated[
    str,
    AfterValidator(_known_currency),
    WithJsonSchema(
        {
            "type": "string",
            "enum": sorted(MINOR_DIGITS),
            "description": "ISO 4217 currency code.",
            "examples": ["EUR"],
        }
    ),
]


def _written_out(given: object) -> object:
    """A JSON number has passed through a binary float somewhere: decimals travel as strings."""
    if isinstance(given, float | int):
        message = 'a decimal is written as a string, such as "12.34"'
        raise ValueError(message)  # noqa: TRY004 - pydantic turns ValueError into a finding
    return given


_AMOUNT = r"^-?(0|[1-9]\d{0,14})(\.\d{1,6})?$"
Amount = Annotated[
    Decimal,
    BeforeValidator(_written_out),
    Field(max_digits=21, decimal_places=6, allow_inf_nan=False),
    PlainSerializer(lambda amount: format(amount, "f"), return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": _AMOUNT, "examples": ["503.10"]}),
]
Hours = Annotated[
    Decimal,
    BeforeValidator(_written_out),
    Field(ge=0, le=24, max_digits=6, decimal_places=4, allow_inf_nan=False),
    PlainSerializer(lambda hours: format(hours, "f"), return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^((1?\d|2[0-3])(\.\d{1,4})?|24)$",
            "description": "Hours of one day as a decimal: 7.6 is 7 hours 36 minutes.",
            "examples": ["7.60"],
        }
    ),
]


def minor_digits(currency: str) -> int:
    """Digits after the point that the currency knows (ISO 4217)."""
    return MINOR_DIGITS[currency]


def rounded(amount: Decimal, currency: str) -> Decimal:
    """The amount half-up to the currency's minor unit: 0.005 EUR is 0.01, 0.5 JPY is 1."""
    return amount.quantize(Decimal(1).scaleb(-minor_digits(currency)), rounding=ROUND_HALF_UP)


class Money(CanonicalModel):
    """An amount that knows its currency; sums across currencies are refused."""

    amount: Amount = Field(
        description="Decimal in the currency's unit with at most the digits it knows: 12.34, never 1234 cents."
    )
    currency: Currency

    @model_validator(mode="after")
    def _fits_the_minor_unit(self) -> Self:
        if self.amount != rounded(self.amount, self.currency):
            message = f"amount {self.amount} has more digits than {self.currency} knows"
            raise ValueError(message)
        return self

    @classmethod
    def of(cls, amount: Decimal | str | int, currency: str) -> Money:
        """Money rounded half-up to the minor unit."""
        return cls(amount=rounded(Decimal(amount), currency), currency=currency)

    @classmethod
    def zero(cls, currency: str) -> Money:
        """Nothing, in that currency."""
        return cls.of(0, currency)

    def __add__(self, other: Money) -> Money:
        """The sum of two amounts of one currency."""
        if other.currency != self.currency:
            message = f"cannot add {other.currency} to {self.currency}"
            raise ValueError(message)
        return Money(amount=self.amount + other.amount, currency=self.currency)

    def __str__(self) -> str:
        """`12.34 EUR`."""
        return f"{self.amount:f} {self.currency}"
