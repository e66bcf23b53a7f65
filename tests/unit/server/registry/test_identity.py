import pytest

from certmint_server.errors import IdentityInvalidError
from certmint_server.registry.identity import MAXIMUM_BYTES, parse_identity, parse_trust_domain


@pytest.mark.parametrize("path", ["payments", "ns/prod/sa/payments", "A.b-c_d"])
def test_a_spiffe_id_of_the_trust_domain_is_taken(path: str) -> None:
    assert parse_identity(f"spiffe://demo.test/{path}", "demo.test") == f"spiffe://demo.test/{path}"


@pytest.mark.parametrize(
    "identity",
    [
        "", "payments", "spiffe://demo.test", "spiffe://demo.test/", "spiffe://demo.test/a/", "spiffe://demo.test//a",
        "spiffe://demo.test/./a", "spiffe://demo.test/../a", "spiffe://demo.test/a b", "spiffe://demo.test/a?b",
        "spiffe://demo.test/a#b", "spiffe://demo.test/a%20b", "spiffe://demo.test/ä", "spiffe://demo.test/a\n",
        "spiffe://other.test/a", "SPIFFE://demo.test/a", "spiffe://DEMO.test/a", "spiffe://demo.test:80/a",
        "spiffe://user@demo.test/a", "spiffe://demo.test/" + "a" * MAXIMUM_BYTES,
    ],
    ids=lambda identity: identity[:40] or "empty",
)  # fmt: skip
def test_what_is_not_one_is_refused(identity: str) -> None:
    with pytest.raises(IdentityInvalidError):
        parse_identity(identity, "demo.test")


@pytest.mark.parametrize(
    "domain", ["", "Demo.test", "demo.test/a", "spiffe://demo.test", "a" * 256, "demo test", "a\n"]
)
def test_what_is_not_a_trust_domain_is_refused(domain: str) -> None:
    with pytest.raises(IdentityInvalidError):
        parse_trust_domain(domain)
