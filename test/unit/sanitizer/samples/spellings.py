"""Writes secrets the way ordinary Python programs do, with the library functions that these use.

Reads `[{"kind", "value", "parts"}]` from its input and prints `[{"kind", "spelling", "written"}]`, `written` in Base64.
"""

import base64
import binascii
import csv
import email.message
import email.mime.text
import html
import html.entities
import io
import itertools
import json
import quopri
import re
import shlex
import sqlite3
import sys
import textwrap
import urllib.parse
import uuid
import xml.sax.saxutils
import zlib
from collections.abc import Callable, Iterator
from email.header import Header

Spelling = Callable[[str], str]


def csv_cell(text: str) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerow(["row", text])
    return out.getvalue()


def sql_quoted(text: str) -> str:
    return str(sqlite3.connect(":memory:").execute("select quote(?)", (text,)).fetchone()[0])


def sql_traced(text: str) -> str:
    statements: list[str] = []
    connection = sqlite3.connect(":memory:")
    connection.set_trace_callback(statements.append)
    connection.execute("select ?", (text,))
    return statements[0]


def quoted_printable(text: str) -> str:
    return quopri.encodestring(text.encode()).decode("latin-1")


def mail(text: str, transfer_encoding: str) -> str:
    message = email.message.EmailMessage()
    message.set_content(text, cte=transfer_encoding)
    return message.as_string()


def json_escaping(characters: str, upper: bool) -> Spelling:
    """JSON as .NET, Go and PHP write it, which escape characters that HTML uses."""

    def write(text: str) -> str:
        form = "\\u%04X" if upper else "\\u%04x"
        escaped = json.dumps(text).replace('\\"', "\\u0022" if '"' in characters else '\\"')
        return re.sub(f"(?<!^)[{re.escape(characters)}](?!$)", lambda match: form % ord(match[0]), escaped)

    return write


def coloured(text: str) -> str:
    middle = len(text) // 2
    return f"\x1b[1;31m{text[:middle]}\x1b[0m\x1b[32m{text[middle:]}\x1b[0m"


# Each of these can stand inside each other.
LAYERS: dict[str, Spelling] = {
    "json.dumps": json.dumps,
    "json.dumps without ensure_ascii": lambda text: json.dumps(text, ensure_ascii=False),
    "repr": repr,
    "ascii": ascii,
    "repr of bytes": lambda text: repr(text.encode()),
    "html.escape": html.escape,
    "urllib quote": lambda text: urllib.parse.quote(text, safe=""),
    "urlencode": lambda text: urllib.parse.urlencode({"k": text, "page": 1}),
    "quopri": quoted_printable,
    "csv": csv_cell,
    "sqlite3 quote": sql_quoted,
    "shlex.quote": shlex.quote,
}

# What is seldom written over something else; JSON and URLs are written over it.
SINGLE: dict[str, Spelling] = {
    "as it is": str,
    "json.dumps of a dict": lambda text: json.dumps({"user": "x", "value": text}, indent=2),
    "JSON as .NET writes it": json_escaping("\"&'+<>`", upper=True),
    "JSON as Go writes it": json_escaping("&<>", upper=False),
    "JSON as PHP writes it": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON as PHP writes it for HTML": json_escaping("\"&'<>", upper=True),
    "repr of a dict": lambda text: repr({"user": "x", "value": text}),
    "repr of an exception": lambda text: repr(ValueError(f"bad value: {text!r}")),
    "unicode_escape": lambda text: text.encode("unicode_escape").decode(),
    "backslashreplace": lambda text: text.encode("ascii", "backslashreplace").decode(),
    "urllib quote with slashes": lambda text: urllib.parse.quote(text),
    "urllib quote_plus": urllib.parse.quote_plus,
    "small percents": lambda text: re.sub("%..", lambda match: match[0].lower(), urllib.parse.quote(text, safe="")),
    "html.escape without quotes": lambda text: html.escape(text, quote=False),
    "character references": lambda text: html.escape(text).encode("ascii", "xmlcharrefreplace").decode(),
    "XML text": xml.sax.saxutils.escape,
    "XML attribute": xml.sax.saxutils.quoteattr,
    "sqlite3 trace": sql_traced,
    "YAML with doubled apostrophes": lambda text: "'" + text.replace("'", "''") + "'",
    "quopri of a header": lambda text: binascii.b2a_qp(text.encode(), header=True).decode(),
    "mail in quoted-printable": lambda text: mail(text, "quoted-printable"),
    "mail in Base64": lambda text: mail(text, "base64"),
    "MIMEText": lambda text: email.mime.text.MIMEText(text, "plain", "utf-8").as_string(),
    "colours": lambda text: f"\x1b[1;31m{text}\x1b[0m",
    "colours in the middle": coloured,
    "shell of a shell": lambda text: shlex.join(["sh", "-c", shlex.join(["echo", text])]),
    "format with width": lambda text: f"|{text:>120}|{text:*^130}|",
}


def encodings(data: bytes) -> Iterator[tuple[str, str]]:
    for before in range(3):
        around = b"u:!"[:before] + data + b" and more"
        yield f"b64encode, alignment {before}", base64.b64encode(around).decode()
        yield f"urlsafe_b64encode, alignment {before}", base64.urlsafe_b64encode(around).decode()
        yield f"encodebytes, alignment {before}", base64.encodebytes(around + b" " * 60).decode()
    yield "Base64 without padding", base64.urlsafe_b64encode(data).decode().rstrip("=")
    yield "Base64 of Base64", base64.b64encode(base64.b64encode(data)).decode()
    yield "Base64 of Base64 in the middle", base64.b64encode(b"v " + base64.b64encode(b"k=" + data)).decode()
    yield "Base64 of hex", base64.b64encode(data.hex().encode()).decode()
    yield "hex of Base64", base64.b64encode(data).hex()
    yield "repr of Base64 bytes", repr(base64.b64encode(data))
    yield "Base64 in a URL", urllib.parse.quote(base64.b64encode(b"#" + data).decode(), safe="")
    yield "Base64 in JSON in JSON", json.dumps(json.dumps(base64.encodebytes(data).decode()))
    yield "hex", data.hex()
    yield "hex in capitals", data.hex().upper()
    yield "hex in the middle", (b"ab" + data + b"cd").hex()
    yield "hex with colons", data.hex(":")
    yield "hex with blanks", data.hex(" ")
    yield "hex with dashes in capitals", data.hex("-").upper()
    yield "hex in groups of two bytes", data.hex(" ", 2)
    yield "hex in groups of four bytes", data.hex(" ", -4)
    yield "list of 0x", ", ".join(f"0x{byte:02x}" for byte in data)
    yield "list of hex() in brackets", "[" + ",".join(f"0x{byte:02X}" for byte in data) + "]"
    yield "hex in lines of 60", "\n".join(textwrap.wrap(data.hex(), 60))
    yield "repr of hexlify", repr(binascii.hexlify(data))


def number_forms(text: str) -> Iterator[tuple[str, str]]:
    number = int(text)
    forms = {
        "int": f"{number}",
        "int in a list": f"[{number}, 2, 3]",
        "int in JSON": json.dumps({"id": number, "n": 1}),
        "thousands": f"{number:,}",
        "thousands with underscores": f"{number:_}",
        "thousands with blanks": f"{number:,}".replace(",", " "),
        "thousands with apostrophes": f"{number:,}".replace(",", "'"),
        "thousands with points": f"{number:,}".replace(",", "."),
        "13 decimals": f"{number:.13e}",
        "exponent": f"{number:e}",
        "float": repr(float(number)),
        "two decimals": f"{number:.2f}",
        "money": f"{number:,.2f} EUR",
        "negative": f"{-number}",
        "with a sign": f"{number:+d}",
        "padded": f"{number:030d}",
        "17 digits": f"{number:.17g}",
        "percent": f"{number / 100:.0%}",
    }
    yield from forms.items()


def cuts(text: str) -> Iterator[tuple[str, str]]:
    sentence = f"There was a problem with {text} when the service was called for the first time today."
    yield "textwrap", textwrap.fill(sentence, 70)
    yield "textwrap in 30", textwrap.fill(sentence, 30)
    yield "textwrap.shorten of a repr", textwrap.fill(repr(sentence), 40, subsequent_indent="    ")
    yield "table cell", f"| name   | {text[:47]}... |"
    yield "first 20", f"{text[:20]}..."
    yield "first 30 in JSON", json.dumps({"cut": text[:30] + "…"})
    yield "last 20", f"...{text[-20:]}"
    yield "middle left out", f"{text[:15]}...{text[-15:]}"
    yield "a slice", text[5:25]
    yield "argparse", f"invalid choice: {text[3:40]!r} (choose from 'a')"


def key_forms(text: str) -> Iterator[tuple[str, str]]:
    """A key in hexadecimal or Base64, or a UUID, by what it stands for."""
    if re.fullmatch("[0-9a-f-]{32,}", text):
        data = bytes.fromhex(text.replace("-", ""))
        yield "in capitals", text.upper()
        yield "in capitals with separators", data.hex(":").upper()
        if "-" in text:
            yield "UUID.hex", uuid.UUID(text).hex
            yield "URN", uuid.UUID(text).urn
            yield "repr of UUID", repr(uuid.UUID(text))
    elif re.fullmatch("[A-Za-z0-9+/_-]{32,}=*", text) and len(text.rstrip("=")) % 4 != 1 and "sk_" not in text:
        data = base64.b64decode(text.translate({45: "+", 95: "/"}) + "==")
        yield "in the other alphabet", text.translate({43: "-", 47: "_", 45: "+", 95: "/"})
        yield "without padding", text.rstrip("=")
        yield "padded", text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
    else:
        return
    yield from ((f"bytes meant, {name}", written) for name, written in encodings(data))


def parts(value: str, known: list[str]) -> Iterator[tuple[str, str]]:
    yield "strip", value.strip()
    yield "with blanks around", f"  {value}\n\n"
    yield "in CRLF lines", value.replace("\n", "\r\n")
    for index, part in enumerate(known):
        for name, write in [*LAYERS.items(), *SINGLE.items()]:
            yield f"part {index}, {name}", write(part)
        yield from ((f"part {index}, {name}", written) for name, written in encodings(part.encode()))


def spellings(value: str, known: list[str]) -> Iterator[tuple[str, str]]:
    for name, write in [*LAYERS.items(), *SINGLE.items()]:
        yield name, write(value)
    for outer, inner in itertools.product(LAYERS, LAYERS):
        yield f"{inner} in {outer}", LAYERS[outer](LAYERS[inner](value))
    for outer, inner in itertools.product(["json.dumps", "urllib quote", "html.escape", "repr"], SINGLE):
        yield f"{inner} in {outer}", LAYERS[outer](SINGLE[inner](value))
    usual = ["json.dumps", "repr", "html.escape", "urllib quote"]
    for outer, middle, inner in itertools.product(usual, repeat=3):
        yield f"{inner} in {middle} in {outer}", LAYERS[outer](LAYERS[middle](LAYERS[inner](value)))
    yield from encodings(value.encode())
    for name in ["json.dumps", "json.dumps without ensure_ascii", "repr", "html.escape", "urllib quote", "urlencode"]:
        for encoding, written in encodings(LAYERS[name](value).encode()):
            yield f"{name} in {encoding}", written
    claims = {"alg": "none"}, {"for": "you", "value": value}
    yield "JSON Web Token", ".".join(base64.urlsafe_b64encode(json.dumps(each).encode()).decode() for each in claims)
    yield "Basic", "Basic " + base64.b64encode(f"user:{value}".encode()).decode()
    yield "header word", Header(value, "utf-8").encode()
    yield "UTF-16 little", value.encode("utf-16-le").decode("latin-1")
    yield "UTF-16 big", value.encode("utf-16-be").decode("latin-1")
    yield "UTF-16 in Base64", base64.b64encode(value.encode("utf-16-le")).decode()
    yield from ((f"not covered, {name}", written) for name, written in uncovered(value))
    yield from parts(value, known)
    yield from key_forms(value)
    if value.isdigit():
        yield from ((f"number, {name}", written) for name, written in number_forms(value))
    if len(value) >= 24 and not re.search("[^!-~]", value) and "://" not in value:
        yield from ((f"cut, {name}", written) for name, written in cuts(value))


def uncovered(value: str) -> Iterator[tuple[str, str]]:
    """What docs/security.md says is not redacted."""
    data = value.encode()
    if re.fullmatch("[0-9a-f-]{32,}", value):
        yield "bytes of a key", repr(bytes.fromhex(value.replace("-", "")))
    yield "decimal bytes", repr(list(data))
    yield "Base64 three times", base64.b64encode(base64.b64encode(base64.b64encode(data))).decode()
    if re.search("[à-ÿ]", value):
        named = {code: f"&{name};" for code, name in html.entities.codepoint2name.items() if code >= 0x80}
        yield "entities", html.escape(value).translate(named)
    lines = [data[at : at + 16].hex(" ") for at in range(0, len(data), 16)]
    if len(lines) > 1:
        yield "hex dump", "\n".join(f"{16 * at:08x}  {line}  |................|" for at, line in enumerate(lines))
    yield "compressed", base64.b64encode(zlib.compress(data)).decode()
    yield "Base32", base64.b32encode(data).decode()
    yield "Base85", base64.b85encode(data).decode()
    if not value.isascii():
        yield "character names", value.encode("ascii", "namereplace").decode()
    yield "reversed", value[::-1]
    yield "spaced", " ".join(value)
    yield "narrow lines", "\n".join(value[at : at + 8] for at in range(0, len(value), 8))


def main() -> None:
    rows = [
        {"kind": secret["kind"], "spelling": name, "written": base64.b64encode(written.encode(encoding)).decode()}
        for secret in json.load(sys.stdin)
        for name, written in spellings(secret["value"], secret.get("parts", []))
        for encoding in ["latin-1" if name.startswith("UTF-16 ") else "utf-8"]
    ]
    json.dump(rows, sys.stdout)


main()
