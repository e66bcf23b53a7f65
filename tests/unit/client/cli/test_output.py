import os
import pty

import pytest

from certmint.ca.v1.registry_service_pb2 import ListCertificatesResponse
from certmint.ca.v1.resources_pb2 import Certificate
from certmint.cli.output import Answer, Facts, Table, json_value, render, show

TABLE = Table(("SERIAL", "STATUS", "NAMES"), [("01", "valid", "a.example"), ("02", "revoked", "b.example " * 8)])


def test_columns_are_aligned_and_lines_have_no_blanks_at_their_end() -> None:
    lines = render([TABLE], width=None, colour=False).splitlines()
    assert lines[:2] == ["SERIAL  STATUS   NAMES", "01      valid    a.example"]
    assert all(line == line.rstrip() for line in lines)


def test_a_table_wider_than_the_terminal_is_stacked_and_nothing_is_cut() -> None:
    names = ("b.example " * 8).rstrip()
    table = Table(TABLE.columns, [TABLE.rows[0], ("02", "revoked", names)])
    stacked = f"""\
SERIAL  01
STATUS  valid
NAMES   a.example

SERIAL  02
STATUS  revoked
NAMES   {names}
"""
    assert render([table], width=len(names) + 16, colour=False) == stacked
    assert render([table], width=len(names) + 17, colour=False) == render([table], width=None, colour=False)


def test_a_table_without_rows_keeps_its_headings_however_narrow_the_terminal() -> None:
    assert render([Table(("SERIAL", "STATUS"), [])], width=5, colour=False) == "SERIAL  STATUS\n"


def test_a_terminal_too_narrow_for_any_table_is_no_reason_to_fail() -> None:
    assert render([TABLE], width=1, colour=False)


def test_colours_mark_the_status_and_do_not_count_as_width() -> None:
    line = render([TABLE], width=None, colour=True).splitlines()[1]
    assert line == "01      \x1b[32mvalid  \x1b[0m  a.example"
    assert "\x1b[31mnot valid\x1b[0m" in render(["not valid"], width=None, colour=True)


def test_facts_that_are_empty_are_left_out() -> None:
    facts = Facts([("serial", "01"), ("labels", ""), ("status", "expired")])
    assert render([facts], width=None, colour=False) == "serial  01\nstatus  expired\n"


@pytest.mark.parametrize("block", [Table(("N",), [("\x1b[2J",)]), Facts([("n", "\x1b[2J")]), "\x1b[2J"])
def test_nothing_from_elsewhere_steers_the_terminal(block: str | Table | Facts) -> None:
    assert "\x1b" not in render([block], width=None, colour=True)


def test_json_has_every_field_under_its_name_in_the_proto() -> None:
    answer = json_value(ListCertificatesResponse(certificates=[Certificate(labels={"a_der": "x"})]))
    assert answer["next_page_token"] == ""
    certificate = answer["certificates"][0]
    assert certificate["labels"] == {"a_der": "x"}
    assert certificate["certificate_pem"] == ""
    assert certificate["status"] == "CERTIFICATE_STATUS_UNSPECIFIED"


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_gets_its_width_and_colours_unless_they_are_not_wanted(
    monkeypatch: pytest.MonkeyPatch, no_color: str
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("COLUMNS", "30")
    reader, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as screen, monkeypatch.context() as patched:
        patched.setattr("sys.stdout", screen)
        show(Answer(Certificate(), [TABLE]), as_json=False)
        shown = os.read(reader, 4096).decode()
    os.close(reader)
    assert ("\x1b[32m" in shown) == (not no_color)
    assert shown.splitlines()[0] == "SERIAL  01"
    assert "b.example " * 8 in shown
