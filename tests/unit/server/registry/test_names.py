import pytest
from hypothesis import given
from hypothesis import strategies as st

from certmint_server.errors import NameInvalidError
from certmint_server.registry.names import parse_dns_name, parse_ip_address

LABEL = st.from_regex(r"[a-z]([a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)


@given(st.lists(LABEL, min_size=1, max_size=5).map(".".join))
def test_names_of_letters_and_digits_are_taken_as_they_are(name: str) -> None:
    assert parse_dns_name(name, field="") == name
    assert parse_dns_name(name.upper(), field="") == name


@given(st.text(max_size=300))
def test_whatever_is_taken_is_a_name_that_resolvers_read(text: str) -> None:
    try:
        name = parse_dns_name(text, field="")
    except NameInvalidError:
        return
    assert len(name) <= 253
    assert all(0 < len(label) <= 63 for label in name.split("."))
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")


@pytest.mark.parametrize("name", ["xn--bcher-kva.example", "a.b", "localhost", "3com.example", "a-b.c"])
def test_odd_but_right_names_are_taken(name: str) -> None:
    assert parse_dns_name(name, field="") == name


@pytest.mark.parametrize(
    ("text", "canonical"),
    [("10.0.0.1", "10.0.0.1"), ("2001:DB8:0:0::1", "2001:db8::1"), ("127.0.0.1", "127.0.0.1")],
)
def test_addresses_are_written_in_one_way(text: str, canonical: str) -> None:
    assert parse_ip_address(text, field="") == canonical


@pytest.mark.parametrize("text", ["", "10.0.0.0/8", "010.0.0.1", "fe80::1%eth0", "1.2.3", "a", "::ffff:1.2.3.4"])
def test_what_is_not_an_address_is_refused(text: str) -> None:
    with pytest.raises(NameInvalidError):
        parse_ip_address(text, field="")
