"""A secret's value. It prints as its name only; the value leaves through `reveal`."""

from __future__ import annotations


class Secret:
    __slots__ = ("_value", "name")

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self._value = value

    def reveal(self) -> str:
        """The value in the clear. Call it only where the value is handed to a run."""
        return self._value

    def __repr__(self) -> str:
        return f"[secret {self.name}]"
