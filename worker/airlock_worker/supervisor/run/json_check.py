"""Checks strictly whether a text from a run child is JSON. The text itself is passed on unchanged.

The text is not parsed into objects, because they may take fifty times its bytes, in the supervisor and outside the
run's limits. Patterns match the text in pieces, so that other threads run in between.
"""

from __future__ import annotations

import codecs
import json
import re
import threading
from array import array
from collections.abc import Callable, Iterable

MAX_DEPTH = 200
_TOO_DEEP = f"it is nested deeper than {MAX_DEPTH} levels"
_NO_JSON = "it is not JSON in UTF-8"

# Pattern for a character beyond U+FFFF, as many encoders write it: a pair of escapes, neither of which is valid alone.
_PAIR = rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = rb"\\[/bfnrt]|\\u(?:[0-9a-cefA-CEF][0-9a-fA-F]|[dD][0-7])[0-9a-fA-F]{2}|" + _PAIR
# Matches up to 1,000 escapes, each with up to 64 characters after it.
_ESCAPES = re.compile(rb"(?:(?:%b)[^\\]{0,64}+){1,1000}" % _ESCAPE)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")

# Items of a container that one match takes, because `re` needs memory for each repetition of a group (but none for a
# repeated single character).
_AT_ONCE = 1000
_PIECE_BYTES = 64 * 1024
# Possessive repetitions (`*+`) never backtrack: no shorter match could succeed, and trying takes long, during which no
# other thread runs.
_WS = rb"[ \t\n\r]*+"
# Pattern for a string, in text whose escaped quotes and backslashes were replaced by `_without_escapes`.
_STRING = rb'"[^"\x00-\x1f]*+"'
_NUMBER = rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][-+]?[0-9]++)?+"
_SCALAR = rb"%b|%b|true|false|null" % (_STRING, _NUMBER)
_EMPTY_OBJECT = rb"\{%b\}" % _WS
# Patterns for an array and an object that are empty or hold one scalar.
_SMALL_ARRAY = rb"\[%b(?:(?:%b)%b)?\]" % (_WS, _SCALAR, _WS)
_SMALL_OBJECT = rb"\{%b(?:%b%b:%b(?:%b)%b)?\}" % (_WS, _STRING, _WS, _WS, _SCALAR, _WS)
# Opening brackets that begin a container which is not matched whole; the last of a row must not begin a small array.
_OPENINGS = rb"\[{1,%d}(?!%b\])|\{" % (MAX_DEPTH + 1, _WS)
_STRING_OR_CONSTANT = re.compile(rb"%b|NaN|-?Infinity" % _STRING)
_BLANKS = re.compile(_WS)
_OPENING, _CLOSING = frozenset((b"[", b"{")), frozenset((b"]", b"}"))

# Keys of an object above which only their hashes are kept, divided over `_PARTS` arrays that are checked one by one.
_MANY_KEYS, _PARTS = 1024, 256


class _Refused(ValueError):
    pass


class GivenUp(Exception):
    """The check was ended early, because its result is not needed any more."""


# An event that is never set, for checks that nothing ends early.
_NEVER = threading.Event()


def problem_of(text: bytes, is_over: threading.Event = _NEVER) -> str | None:
    """Why the text is refused, or None. Allowed is one JSON value: UTF-8, no NaN or Infinity, no key twice, at most
    MAX_DEPTH levels. Raises GivenUp when `is_over` is set meanwhile.
    """
    plain = _without_escapes(text)
    try:
        _check_utf8(text)
        _check_escapes(plain)
        _walk(text, plain, _level, is_over)
    except _Refused as refused:
        return str(refused)
    except UnicodeDecodeError:
        return _NO_JSON
    return None


def is_memory(text: bytes, is_over: threading.Event = _NEVER) -> bool:
    """Whether JSON that passed `problem_of` has the shape {category: {key: value}}. Raises GivenUp like it."""
    try:
        _walk(text, _without_escapes(text), _level_of_memory, is_over)
    except _Refused:
        return False
    return True


def texts_of(text: bytes, count: int) -> dict[str, str] | None:
    """The members of a JSON object that has exactly `count`, all of them texts. None for any other text."""
    member = rb"%b%b:%b%b" % (_STRING, _WS, _WS, _STRING)
    whole = rb"\{%b%b(?:%b,%b%b){%d}%b\}" % (_WS, member, _WS, _WS, member, count - 1, _WS)
    if not re.fullmatch(whole, _without_escapes(text)):
        return None
    try:
        members: dict[str, str] = json.loads(text)
    except ValueError:
        return None
    return members


def _without_escapes(text: bytes) -> bytes:
    """Replaces escaped backslashes and quotes by underscores, so that every other character keeps its position. Each
    backslash that is left begins another escape.
    """
    return text.replace(rb"\\", b"__").replace(rb"\"", b"__") if b"\\" in text else text


def _check_utf8(text: bytes) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    for at in range(0, len(text), _PIECE_BYTES):
        decoder.decode(text[at : at + _PIECE_BYTES])
    decoder.decode(b"", final=True)


def _check_escapes(plain: bytes) -> None:
    at = 0
    while (at := plain.find(b"\\", at)) >= 0:
        found = _ESCAPES.match(plain, at)
        if found is None:
            raise _Refused("it escapes half a character" if _SURROGATE.match(plain, at) else _NO_JSON)
        at = found.end()


class _Level:
    """Patterns for what may stand inside a container. `leaf`: values that are matched whole; `opening`: beginning of
    others.
    """

    def __init__(self, leaf: bytes, opening: bytes) -> None:
        value = rb"(?:%b)%b" % (leaf, _WS)
        key = rb"%b%b:%b" % (_STRING, _WS, _WS)
        item, member = (
            rb"(?:%b%b,%b){0,%d}%b(?:%b(,|%b)|(%b))" % (name, value, _WS, _AT_ONCE, name, value, end, opening)
            for name, end in ((b"", rb"\]+"), (key, rb"\}"))
        )
        # Matches from an opening bracket or a comma (items, members), or from behind a value (more_items,
        # more_members), up to the next bracket or the end of `_AT_ONCE` items.
        self.items, self.members = re.compile(item + _WS), re.compile(member + _WS)
        self.more_items = re.compile(rb"(?:(\]+)|,%b%b)%b" % (_WS, item, _WS))
        self.more_members = re.compile(rb"(?:(\})|,%b%b)%b" % (_WS, member, _WS))
        # Matches a whole text that is one value, or its opening brackets.
        self.whole = re.compile(rb"(?:%b|(%b))%b" % (value, opening, _WS))
        # Finds the keys of an object's members.
        self.keys = re.compile(rb"(%b)%b:%b(?:%b)?" % (_STRING, _WS, _WS, leaf))


_ANY = _Level(rb"%b|%b|%b" % (_SCALAR, _SMALL_ARRAY, _SMALL_OBJECT), _OPENINGS)
_DEEPEST = _Level(_SCALAR, rb"[\[{]")
_CATEGORY = _Level(_EMPTY_OBJECT, rb"\{")


def _level(depth: int) -> _Level:
    return _ANY if depth < MAX_DEPTH else _DEEPEST


def _level_of_memory(depth: int) -> _Level:
    return _CATEGORY if depth < 2 else _level(depth)


class _Keys:
    """Collects the keys of one object, because an object that has a key twice is refused."""

    def __init__(self) -> None:
        self._few: set[bytes] = set()
        self._many: list[array[int]] = []

    def add(self, keys: list[bytes]) -> None:
        if self._many:
            self._add_hashes(keys)
            return
        count = len(self._few) + len(keys)
        self._few.update(keys)
        _once(len(self._few) == count)
        if count > _MANY_KEYS:
            self._many = [array("q") for _ in range(_PARTS)]
            self._add_hashes(self._few)
            self._few = set()

    def _add_hashes(self, keys: Iterable[bytes]) -> None:
        for number in map(hash, keys):
            self._many[number % _PARTS].append(number)

    def close(self) -> None:
        for part in self._many:
            _once(len(set(part)) == len(part))


def _once(is_so: bool) -> None:
    if not is_so:
        raise _Refused("an object has one key twice")


def _walk(text: bytes, plain: bytes, level: Callable[[int], _Level], is_over: threading.Event) -> None:
    """Raises _Refused unless the text is JSON of these levels. `plain`: the text from `_without_escapes`."""
    blanks = _BLANKS.match(plain)
    at = blanks.end() if blanks else 0
    found = level(0).whole.match(plain, at)
    is_escaped = b"\\" in text
    # Containers whose closing bracket has not come yet, innermost last; None stands for an array.
    opened: list[_Keys | None] = []
    while found is not None:
        if is_over.is_set():
            raise GivenUp
        change: bytes = found[found.lastindex] if found.lastindex else b""
        here = level(len(opened))
        if opened and (keys := opened[-1]) is not None:
            end = found.end()
            keys.add(_keys_in(text, plain, at, end, here) if is_escaped else here.keys.findall(plain, at, end))
        at = found.end()
        is_behind_value = change[:1] in _CLOSING
        if is_behind_value:
            _close(opened, change)
        elif change != b",":
            opened += [_Keys() if change == b"{" else None] * len(change)
            if len(opened) > MAX_DEPTH:
                raise _Refused(_TOO_DEEP)
        if not opened:
            break
        here = level(len(opened))
        if opened[-1] is None:
            found = (here.more_items if is_behind_value else here.items).match(plain, at)
        else:
            found = (here.more_members if is_behind_value else here.members).match(plain, at)
    if found is None or at != len(plain):
        raise _Refused(_why_not(plain))


def _close(opened: list[_Keys | None], brackets: bytes) -> None:
    """Closes a container for each closing bracket. Several brackets at once are always those of arrays."""
    is_array = brackets[:1] == b"]"
    for _ in brackets:
        if not opened or (opened[-1] is None) != is_array:
            raise _Refused(_NO_JSON)
        keys = opened.pop()
        if keys is not None:
            keys.close()


def _keys_in(text: bytes, plain: bytes, at: int, end: int, level: _Level) -> list[bytes]:
    """The object's keys in one form, however their characters are escaped, so that equal keys compare equal."""
    return [_key(text[slice(*each.span(1))]) for each in level.keys.finditer(plain, at, end)]


def _key(text: bytes) -> bytes:
    return b'"%b"' % json.loads(text).encode() if b"\\" in text else text


def _why_not(plain: bytes) -> str:
    for found in _STRING_OR_CONSTANT.finditer(plain):
        if not found[0].startswith(b'"'):
            return f"it holds {found[0].decode()}"
    return _NO_JSON
