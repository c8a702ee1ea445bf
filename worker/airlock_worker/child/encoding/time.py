"""Times as ISO 8601 text: fractions have six digits, nine where microseconds do not hold them, none when they are 0."""

from __future__ import annotations

import datetime
from typing import Any


def iso_text(value: Any) -> str:
    """Of a date, time, datetime or pandas Timestamp."""
    text: str = value.isoformat()
    return text


def trim_fraction(text: str) -> str:
    """`2024-01-01T00:00:00.500000000` as datetime writes it: `2024-01-01T00:00:00.500000`."""
    whole, point, fraction = text.partition(".")
    if not point or not fraction.strip("0"):
        return whole
    # Nine digits at most matter to anyone, but atto-second arrays exist: nothing is cut that is not 0.
    digits = fraction.rstrip("0")
    return f"{whole}.{digits.ljust(6 if len(digits) <= 6 else 9, '0')}"


def duration_text(value: datetime.timedelta) -> str:
    # A pandas Timedelta carries nanoseconds besides.
    nanoseconds = (value.days * 86400 + value.seconds) * 10**9 + value.microseconds * 1000
    return duration_of(nanoseconds + getattr(value, "nanoseconds", 0))


def duration_of(nanoseconds: int) -> str:
    sign = "-" if nanoseconds < 0 else ""
    seconds, fraction = divmod(abs(nanoseconds), 10**9)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    decimals = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{sign}P{days}DT{hours}H{minutes}M{seconds}{decimals}S"
