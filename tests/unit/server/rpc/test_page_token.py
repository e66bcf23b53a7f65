import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certmint.ca.v1.registry_service_pb2 import ListCertificatesRequest
from certmint_server.errors import PageTokenInvalidError
from certmint_server.registry.certificates import PageKey
from certmint_server.rpc.page_token import (
    decode_last,
    decode_page_key,
    encode_last,
    encode_page_key,
    page_limit,
)

REQUEST = ListCertificatesRequest(identity="spiffe://demo.test/a", page_size=10)
KEY = PageKey("test.demo.a", datetime(2030, 1, 1, tzinfo=UTC), "0123456789abcdef", 7 << 100)


def test_a_token_goes_on_where_it_was_made() -> None:
    assert decode_page_key(encode_page_key(KEY, REQUEST), REQUEST) == KEY
    assert encode_page_key(None, REQUEST) == ""
    assert decode_page_key("", REQUEST) is None


def test_a_token_goes_on_with_another_page_size() -> None:
    wider = ListCertificatesRequest(identity="spiffe://demo.test/a", page_size=99)
    assert decode_page_key(encode_page_key(KEY, REQUEST), wider) == KEY


def test_a_token_of_another_list_is_refused() -> None:
    other = ListCertificatesRequest(identity="spiffe://demo.test/b")
    with pytest.raises(PageTokenInvalidError):
        decode_page_key(encode_page_key(KEY, REQUEST), other)


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: base64.urlsafe_b64encode(data).decode()))
def test_whatever_a_caller_makes_up_is_refused(token: str) -> None:
    if not token:
        return
    for decode in (lambda: decode_page_key(token, REQUEST), lambda: decode_last(token)):
        with pytest.raises(PageTokenInvalidError):
            decode()


@pytest.mark.parametrize("value", ["[1e999]", "[" * 5000, '["a","b"]', "{}", '["x","",1e400,"a","1"]', "null"])
def test_json_of_another_shape_is_refused(value: str) -> None:
    token = base64.urlsafe_b64encode(value.encode()).decode()
    for decode in (lambda: decode_page_key(token, REQUEST), lambda: decode_last(token)):
        with pytest.raises(PageTokenInvalidError):
            decode()


def test_a_token_above_the_cap_is_refused() -> None:
    with pytest.raises(PageTokenInvalidError):
        decode_last(encode_last("a" * 5000))


def test_the_last_row_comes_back() -> None:
    assert decode_last(encode_last("spiffe://demo.test/a")) == "spiffe://demo.test/a"
    assert decode_last("") == ""


@pytest.mark.parametrize(("asked", "given"), [(0, 100), (1, 1), (1000, 1000), (1 << 31, 1000)])
def test_a_page_is_bounded(asked: int, given: int) -> None:
    assert page_limit(asked) == given
