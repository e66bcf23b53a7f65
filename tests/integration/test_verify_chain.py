import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from tests.integration.conftest import Running
from tests.integration.outsiders import CA, foreign_root

from certmint import Client, Purpose, RevocationPolicy, RevocationReason, errors, keys
from certmint.ca.v1 import certificate_authority_service_pb2 as pb
from certmint.ca.v1.certificate_authority_service_pb2 import VerifyChainResponse

SERVER = Purpose.PURPOSE_SERVER_AUTH
CLIENT = Purpose.PURPOSE_CLIENT_AUTH
ANY = Purpose.PURPOSE_ANY
REQUIRE_FRESH = RevocationPolicy.REVOCATION_POLICY_REQUIRE_FRESH
SOFT_STALE = RevocationPolicy.REVOCATION_POLICY_SOFT_STALE
NONE = RevocationPolicy.REVOCATION_POLICY_NONE
ONE_SECOND = timedelta(seconds=1)
# PostgreSQL and SQLite only differ in what the registry says; the engine behind has a suite of its own.


@dataclass(frozen=True, slots=True)
class Chains:
    """A service with a chain for each profile, leaf first."""

    client: Client
    identity: str
    service: list[bytes]
    server: list[bytes]


@pytest.fixture(scope="session")
def chains(running: Running) -> Iterator[Chains]:
    identity = running.enroll(dns_names=["a.verify.test"], ip_addresses=["192.0.2.7", "2001:db8::7"])
    with running.client(identity) as client:

        def chain(profile: str) -> list[bytes]:
            csr_der = keys.csr_der(
                keys.generate(), dns_names=["a.verify.test"], ip_addresses=["192.0.2.7", "2001:db8::7"]
            )
            return list(client.sign_csr(csr_der, profile=profile).chain_der)

        yield Chains(client, identity.spiffe_id, chain("service"), chain("server"))


def reasons(verdict: VerifyChainResponse) -> list[tuple[int | None, str]]:
    """Each failure as the position of its certificate, if it has one, and its reason."""
    return [
        (
            failure.certificate_index if failure.HasField("certificate_index") else None,
            pb.VerificationFailureReason.Name(failure.reason).removeprefix("VERIFICATION_FAILURE_REASON_"),
        )
        for failure in verdict.failures
    ]


def test_a_chain_of_ours_is_valid_and_the_verdict_shows_its_path(running: Running, chains: Chains) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    verdict = chains.client.verify_chain(chains.service, purpose=SERVER, dns_name="a.verify.test")
    issuing, root = running.certificates()
    assert verdict.valid
    assert not verdict.failures
    assert list(verdict.chain_der) == chains.service
    assert x509.load_der_x509_certificate(verdict.trust_anchor_der) == root
    assert verdict.revocation_policy == REQUIRE_FRESH
    assert before <= verdict.evaluated_at.ToDatetime(UTC) <= datetime.now(UTC)
    leaf, ca = verdict.revocation
    assert (leaf.certificate_index, leaf.source, leaf.fresh) == (0, pb.REVOCATION_SOURCE_REGISTRY, True)
    assert (ca.certificate_index, ca.source, ca.fresh) == (1, pb.REVOCATION_SOURCE_CRL, True)
    assert int(ca.serial_hex, 16) == issuing.serial_number
    assert ca.HasField("next_update")
    assert not leaf.HasField("next_update")


@pytest.mark.parametrize("profile", ["service", "server"])
@pytest.mark.parametrize("purpose", [SERVER, CLIENT, ANY], ids=Purpose.Name)
def test_the_purpose_must_be_one_of_the_leafs(chains: Chains, profile: str, purpose: Purpose.ValueType) -> None:
    verdict = chains.client.verify_chain(getattr(chains, profile), purpose=purpose)
    assert reasons(verdict) == ([(0, "PURPOSE")] if (profile, purpose) == ("server", CLIENT) else [])


@pytest.mark.parametrize(
    ("name", "is_carried"),
    [
        ({"dns_name": "a.verify.test"}, True),
        ({"dns_name": "A.Verify.Test"}, True),
        ({"dns_name": "b.verify.test"}, False),
        ({"dns_name": "verify.test"}, False),
        ({"ip_address": "192.0.2.7"}, True),
        ({"ip_address": "2001:DB8:0::7"}, True),
        ({"ip_address": "192.0.2.8"}, False),
        ({"uri": "spiffe://demo.test/another"}, False),
        ({"uri": "SPIFFE://demo.test/another"}, False),
    ],
    ids=str,
)
def test_the_name_asked_for_must_be_one_of_the_leafs(chains: Chains, name: dict[str, str], is_carried: bool) -> None:
    verdict = chains.client.verify_chain(chains.service, purpose=ANY, **name)  # type: ignore[arg-type]  # a name each
    assert reasons(verdict) == ([] if is_carried else [(0, "NAME_MISMATCH")])
    assert verdict.valid == is_carried


def test_the_uri_asked_for_is_compared_character_by_character(chains: Chains) -> None:
    assert chains.client.verify_chain(chains.service, purpose=ANY, uri=chains.identity).valid
    assert not chains.client.verify_chain(chains.service, purpose=ANY, uri=chains.identity.upper()).valid


@pytest.mark.parametrize(
    ("name", "field"), [({"dns_name": "*.verify.test"}, "dns_name"), ({"ip_address": "192.0.2"}, "ip_address")]
)
def test_a_name_that_is_none_is_refused(chains: Chains, name: dict[str, str], field: str) -> None:
    with pytest.raises(errors.NameInvalidError) as caught:
        chains.client.verify_chain(chains.service, purpose=ANY, **name)  # type: ignore[arg-type]  # a name each
    assert list(caught.value.fields) == [field]


def test_the_time_judged_by_may_be_any_and_both_ends_of_validity_count(chains: Chains) -> None:
    leaf = x509.load_der_x509_certificate(chains.service[0])

    def judged(at_time: datetime) -> list[tuple[int | None, str]]:
        verdict = chains.client.verify_chain(chains.service, purpose=ANY, at_time=at_time, revocation_policy=NONE)
        assert verdict.evaluated_at.ToDatetime(UTC) == at_time
        return reasons(verdict)

    assert judged(leaf.not_valid_before_utc) == []
    assert judged(leaf.not_valid_after_utc) == []
    assert (0, "NOT_YET_VALID") in judged(leaf.not_valid_before_utc - ONE_SECOND)
    assert judged(leaf.not_valid_after_utc + ONE_SECOND) == [(0, "EXPIRED")]


def test_a_revoked_leaf_is_not_valid_and_the_evidence_says_why(chains: Chains) -> None:
    answer = chains.client.sign_csr(keys.csr_der(keys.generate()))
    chain = list(answer.chain_der)
    assert chains.client.verify_chain(chain, purpose=ANY).valid
    revocation = chains.client.revoke(
        certificate_der=chain[0], reason=RevocationReason.REVOCATION_REASON_SUPERSEDED
    ).certificate.revocation
    for policy in (REQUIRE_FRESH, SOFT_STALE):
        verdict = chains.client.verify_chain(chain, purpose=ANY, revocation_policy=policy)
        assert reasons(verdict) == [(0, "REVOKED")]
        assert verdict.revocation[0].revocation == revocation
    unlooked = chains.client.verify_chain(chain, purpose=ANY, revocation_policy=NONE)
    assert unlooked.valid
    assert {pb.RevocationSource.Name(evidence.source) for evidence in unlooked.revocation} <= {
        "REVOCATION_SOURCE_UNSPECIFIED"
    }


def test_what_a_thief_of_the_issuing_key_signed_is_not_in_the_registry(chains: Chains, thief: CA) -> None:
    chain = [thief.certify(keys.generate(), x509.DNSName("a.verify.test")), thief.der]
    for policy in (REQUIRE_FRESH, SOFT_STALE):
        verdict = chains.client.verify_chain(chain, purpose=SERVER, dns_name="a.verify.test", revocation_policy=policy)
        assert reasons(verdict) == [(0, "NOT_IN_REGISTRY")]


def test_a_stolen_serial_does_not_make_a_certificate_ours(chains: Chains) -> None:
    changed = bytearray(chains.service[0])
    changed[-1] ^= 1
    verdict = chains.client.verify_chain([bytes(changed), *chains.service[1:]], purpose=ANY)
    assert [reason for _, reason in reasons(verdict)] in (["SIGNATURE_INVALID"], ["UNTRUSTED"])


def test_a_ca_below_the_issuing_ca_is_one_too_many(chains: Chains, thief: CA) -> None:
    below = thief.subordinate("Below", keys.generate())
    chain = [below.certify(keys.generate(), x509.DNSName("a.verify.test")), below.der, thief.der]
    verdict = chains.client.verify_chain(chain, purpose=ANY)
    assert not verdict.valid
    assert "BASIC_CONSTRAINTS" in {reason for _, reason in reasons(verdict)}


def test_a_chain_to_a_root_that_we_do_not_have_is_untrusted(chains: Chains) -> None:
    root = foreign_root()
    verdict = chains.client.verify_chain([root.certify(keys.generate(), x509.DNSName("x.test")), root.der], purpose=ANY)
    assert {reason for _, reason in reasons(verdict)} == {"UNTRUSTED"}
    assert not verdict.chain_der
    assert not verdict.trust_anchor_der


@pytest.mark.parametrize("key_type", [keys.KeyType.ECDSA_P256, keys.KeyType.ED25519, keys.KeyType.RSA_2048], ids=str)
def test_trust_anchors_of_ones_own_are_used_instead_of_our_roots(
    running: Running, chains: Chains, key_type: keys.KeyType
) -> None:
    root = foreign_root(key_type=key_type)
    below = root.subordinate("Foreign Issuing", keys.generate(key_type))
    chain = [below.certify(keys.generate(), x509.DNSName("x.test")), below.der]
    arguments: dict[str, Any] = {"purpose": SERVER, "dns_name": "x.test", "trust_anchors_der": [root.der]}
    for policy in (SOFT_STALE, NONE):
        verdict = chains.client.verify_chain(chain, revocation_policy=policy, **arguments)
        assert verdict.valid, verdict
        assert verdict.trust_anchor_der == root.der
    strict = chains.client.verify_chain(chain, revocation_policy=REQUIRE_FRESH, **arguments)
    assert reasons(strict) == [(0, "REVOCATION_UNKNOWN"), (1, "REVOCATION_UNKNOWN")]
    ours = chains.client.verify_chain(chains.service, purpose=ANY, trust_anchors_der=[root.der])
    assert {reason for _, reason in reasons(ours)} == {"UNTRUSTED"}


def test_odd_order_strangers_and_duplicates_do_no_harm(running: Running, chains: Chains) -> None:
    leaf, issuing = chains.service
    root = running.operator.get_trust_bundle().trust_bundle.roots_der[0]
    stranger = foreign_root().der
    verdict = chains.client.verify_chain([leaf, stranger, root, leaf, issuing, issuing, stranger], purpose=ANY)
    assert verdict.valid
    assert list(verdict.chain_der) == [leaf, issuing]
    assert verdict.trust_anchor_der == root
    assert [evidence.certificate_index for evidence in verdict.revocation] == [0, 4]


def test_a_leaf_without_its_issuer_is_untrusted(chains: Chains) -> None:
    verdict = chains.client.verify_chain(chains.service[:1], purpose=ANY)
    assert reasons(verdict) == [(0, "UNTRUSTED")]


@pytest.fixture(scope="session")
def long_lived(running: Running) -> list[bytes]:
    """A chain that outlives the root's CRL of 180 days."""
    profile = running.operator.get_profile("service").profile
    profile.name = f"long-{uuid.uuid4().hex[:8]}"
    profile.maximum_lifetime.FromTimedelta(timedelta(days=400))
    running.operator.apply_profile(profile)
    registration = running.register(profiles=[profile.name])
    answer = running.operator.sign_csr(
        keys.csr_der(keys.generate()),
        identity=registration.identity,
        profile=profile.name,
        lifetime=timedelta(days=400),
    )
    return list(answer.chain_der)


def test_information_past_its_next_update_is_stale_and_each_policy_has_its_way(
    chains: Chains, long_lived: list[bytes]
) -> None:
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(days=200)
    strict, soft, none = (
        chains.client.verify_chain(long_lived, purpose=ANY, at_time=later, revocation_policy=policy)
        for policy in (REQUIRE_FRESH, SOFT_STALE, NONE)
    )
    assert (1, "REVOCATION_STALE") in reasons(strict)
    assert {reason for _, reason in reasons(strict)} == {"REVOCATION_STALE"}
    assert not strict.revocation[1].fresh
    assert soft.valid
    assert none.valid


@pytest.mark.parametrize("count", [0, 17])
def test_a_chain_has_1_to_16_certificates(chains: Chains, count: int) -> None:
    with pytest.raises(errors.FieldInvalidError) as caught:
        chains.client.verify_chain([chains.service[0]] * count, purpose=ANY)
    assert list(caught.value.fields) == ["chain_der"]


def test_there_are_at_most_16_trust_anchors(chains: Chains) -> None:
    with pytest.raises(errors.FieldInvalidError) as caught:
        chains.client.verify_chain(chains.service, purpose=ANY, trust_anchors_der=[foreign_root().der] * 17)
    assert list(caught.value.fields) == ["trust_anchors_der"]


def test_a_certificate_that_is_too_large_is_refused_before_any_is_parsed(chains: Chains) -> None:
    with pytest.raises(errors.CertificateMalformedError) as caught:
        chains.client.verify_chain([b"\x30\x00", bytes(64 * 1024 + 1)], purpose=ANY)
    assert list(caught.value.fields) == ["chain_der[1]"]


def test_a_malformed_certificate_is_an_error_with_its_position(chains: Chains) -> None:
    with pytest.raises(errors.CertificateMalformedError) as caught:
        chains.client.verify_chain([*chains.service, b"\x30\x03\x02\x01\x00"], purpose=ANY)
    assert list(caught.value.fields) == ["chain_der[2]"]
    with pytest.raises(errors.CertificateMalformedError) as caught:
        chains.client.verify_chain(chains.service, purpose=ANY, trust_anchors_der=[b"x"])
    assert list(caught.value.fields) == ["trust_anchors_der[0]"]


@pytest.mark.parametrize("number", [0, 4])
def test_a_purpose_and_a_policy_must_be_given(chains: Chains, number: int) -> None:
    with pytest.raises(errors.FieldInvalidError) as caught:
        chains.client.verify_chain(chains.service, purpose=number)  # type: ignore[arg-type]  # not given, or none
    assert list(caught.value.fields) == ["purpose"]
    with pytest.raises(errors.FieldInvalidError) as caught:
        chains.client.verify_chain(chains.service, purpose=ANY, revocation_policy=number)  # type: ignore[arg-type]  # likewise
    assert list(caught.value.fields) == ["revocation_policy"]


def test_the_servers_own_certificate_is_valid_for_what_it_is_called_by(running: Running, chains: Chains) -> None:
    identity = "spiffe://demo.test/certmint/server"
    serial_hex = next(running.operator.iterate_certificates(identity=identity)).serial_hex
    chain = running.operator.get_certificate(serial_hex).chain_der
    assert chains.client.verify_chain(chain, purpose=SERVER, dns_name="localhost").valid
    assert chains.client.verify_chain(chain, purpose=SERVER, ip_address="127.0.0.1").valid
    assert reasons(chains.client.verify_chain(chain, purpose=CLIENT)) == [(0, "PURPOSE")]
