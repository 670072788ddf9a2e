"""Units of account: the currencies of ISO 4217, and any other unit (crypto, points, custom) beside them."""

import re
from functools import lru_cache
from typing import Final

import attrs
from returns.result import Success

from dashtam_core.kernel._errors import KernelCode, ValueRefused
from dashtam_core.kernel._result import Result, refused

# ISO 4217:2015 with amendment 179, active codes by the digits of their minor unit; funds codes left out.
_BY_EXPONENT: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF "
        "CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG "
        "HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU "
        "MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR "
        "SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED "
        "VES WST XCD XCG YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
ISO_4217: Final = {code: exponent for exponent, codes in _BY_EXPONENT.items() for code in codes.split()}
"""Every active ISO 4217 code and the number of digits after its decimal mark."""

_UNIT = re.compile(r"[!-~]{1,64}")


@attrs.frozen(slots=True)
class Currency:
    """A unit of account: an ISO 4217 code in capitals, or another unit's own spelling.

    Any unit is 1 to 64 printable ASCII characters without spaces.
    """

    code: str

    def __attrs_post_init__(self) -> None:
        if not _UNIT.fullmatch(self.code) or (self.code not in ISO_4217 and self.code.upper() in ISO_4217):
            raise ValueError(f"not a unit of account: {self.code[:64]!r}")

    @property
    def exponent(self) -> int | None:
        """Digits after the decimal mark by ISO 4217; None for a unit outside it, which is never rounded."""
        return ISO_4217.get(self.code)

    @classmethod
    def parse(cls, text: str, /) -> "Result[Currency, ValueRefused]":
        """The unit `text` names, in any case if it is an ISO 4217 code."""
        code = text.strip()
        if not _UNIT.fullmatch(code):
            return refused(
                KernelCode.CURRENCY_INVALID,
                f"{text[:64]!r} names no currency: use an ISO 4217 code such as EUR, "
                "or up to 64 printable characters for another unit",
            )
        return Success(_unit(code.upper() if code.upper() in ISO_4217 else code))

    def __str__(self) -> str:
        return self.code


@lru_cache(maxsize=1024)
def _unit(code: str) -> Currency:
    return Currency(code)
