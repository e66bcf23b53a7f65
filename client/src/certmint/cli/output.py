"""What a command answers, and how it is shown: tables for people, JSON for programs."""

import base64
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from certmint import pem

_COLOURS: Final = {"valid": "32", "expired": "33", "disabled": "33", "revoked": "31", "not valid": "31", "weaker": "31"}
_GAP: Final = "  "


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and what they stand for. Empty ones are not shown."""

    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command found out.

    Attributes:
        message: what `--json` shows.
        blocks: what people are shown: sentences, tables, facts.
        data: what is written as it is instead of the blocks, such as PEM.
        exit_status: of the command.
    """

    message: Message
    blocks: Sequence[str | Table | Facts] = ()
    data: bytes = b""
    exit_status: int = 0


def show(answer: Answer, *, as_json: bool) -> None:
    """Writes an answer to standard output."""
    if as_json:
        sys.stdout.write(json.dumps(json_value(answer.message), indent=2, sort_keys=True) + "\n")
    elif answer.data:
        sys.stdout.buffer.write(answer.data)
    else:
        terminal = sys.stdout.isatty()
        width = shutil.get_terminal_size().columns if terminal else None
        colour = terminal and not os.environ.get("NO_COLOR")  # noqa: TID251 - no-color.org
        sys.stdout.write(render(answer.blocks, width=width, colour=colour))
    sys.stdout.flush()


def render(blocks: Sequence[str | Table | Facts], *, width: int | None, colour: bool) -> str:
    """The blocks as text. The rows of a table that is wider than `width` are stacked, if there is one."""
    parts = []
    for block in blocks:
        if isinstance(block, Table):
            parts.append(_table(block, width=width, colour=colour))
        elif isinstance(block, Facts):
            parts.append(_facts(block, colour=colour))
        else:
            parts.append("".join(_painted(clean(line), line, colour=colour) + "\n" for line in block.splitlines()))
    return "\n".join(parts)


def json_value(message: Message) -> Any:
    """Proto JSON with the field names of the .proto files, all fields present, and PEM in place of DER."""
    return _with_pem(
        MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    )


def clean(text: str) -> str:
    """The text without what could steer a terminal: names and sentences come from elsewhere."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _with_pem(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_pem(item) for item in value]
    if not isinstance(value, dict):
        return value
    return dict(_field(name, item) for name, item in value.items())


def _field(name: str, value: Any) -> tuple[str, Any]:
    if name == "labels":  # their keys are the requester's
        return name, value
    if not name.endswith("_der"):
        return name, _with_pem(value)
    label = pem.X509_CRL if name == "crl_der" else pem.CERTIFICATE
    texts = [_pem_text(label, item) for item in value] if isinstance(value, list) else _pem_text(label, value)
    return name.removesuffix("_der") + "_pem", texts


def _pem_text(label: str, der_base64: str) -> str:
    return pem.encode(label, base64.b64decode(der_base64)).decode() if der_base64 else ""


def _table(table: Table, *, width: int | None, colour: bool) -> str:
    rows = [tuple(clean(cell) for cell in row) for row in (table.columns, *table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if table.rows and width is not None and sum(widths) + len(_GAP) * (len(widths) - 1) > width:
        pairs = [tuple(zip(table.columns, row, strict=True)) for row in table.rows]
        return "\n".join(_facts(Facts(row), colour=colour) for row in pairs)
    return "".join(_row(row, widths, colour=colour) for row in rows)


def _row(row: Sequence[str], widths: Sequence[int], *, colour: bool) -> str:
    cells = [_painted(cell.ljust(width), cell, colour=colour) for cell, width in zip(row, widths, strict=True)]
    return _GAP.join(cells).rstrip() + "\n"


def _facts(facts: Facts, *, colour: bool) -> str:
    pairs = [(name, clean(value)) for name, value in facts.pairs if value]
    width = max((len(name) for name, _ in pairs), default=0)
    return "".join(f"{name.ljust(width)}{_GAP}{_painted(value, value, colour=colour)}\n" for name, value in pairs)


def _painted(text: str, word: str, *, colour: bool) -> str:
    code = _COLOURS.get(word) if colour else None
    return f"\x1b[{code}m{text}\x1b[0m" if code else text
