"""Writes times as ISO 8601 text: fractions have six digits, nine if microseconds do not suffice, none when they
are 0.
"""

from __future__ import annotations

import datetime
from typing import Any


def iso_text(value: Any) -> str:
    """ISO text of a date, time, datetime or pandas Timestamp."""
    text: str = value.isoformat()
    return text


def trim_fraction(text: str) -> str:
    """Shortens a fraction to the digits that datetime writes: `2024-01-01T00:00:00.500000000` to
    `2024-01-01T00:00:00.500000`.
    """
    whole, point, fraction = text.partition(".")
    if not point or not fraction.strip("0"):
        return whole
    # Only zeros are cut, because numpy's times may have up to attoseconds, which must not be lost.
    digits = fraction.rstrip("0")
    return f"{whole}.{digits.ljust(6 if len(digits) <= 6 else 9, '0')}"


def duration_text(value: datetime.timedelta) -> str:
    # A pandas Timedelta has an attribute `nanoseconds` besides those of datetime.timedelta.
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
