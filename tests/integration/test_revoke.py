from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from tests.integration.conftest import Running
from tests.integration.outsiders import CA, foreign_root

from certmint import Client, Identity, RevocationReason, Role, errors, keys
from certmint.ca.v1.certificate_authority_service_pb2 import RevokeRequest, RevokeResponse
from certmint.ca.v1.resources_pb2 import CERTIFICATE_STATUS_REVOKED, Certificate
from certmint.calls import Call

REVOKE = "/certmint.ca.v1.CertificateAuthorityService/Revoke"
KEY_COMPROMISE = RevocationReason.REVOCATION_REASON_KEY_COMPROMISE
SUPERSEDED = RevocationReason.REVOCATION_REASON_SUPERSEDED
UNSPECIFIED = RevocationReason.REVOCATION_REASON_UNSPECIFIED


class Held(NamedTuple):
    """A certificate with its key."""

    key: keys.PrivateKey
    certificate: Certificate


@pytest.fixture(scope="session")
def service(running: Running) -> Iterator[Client]:
    with running.client(running.enroll()) as client:
        yield client


@pytest.fixture(scope="session")
def stranger(running: Running) -> Iterator[Client]:
    with running.client(running.enroll()) as client:
        yield client


@pytest.fixture
def held(service: Client) -> Held:
    key = keys.generate()
    return Held(key, service.sign_csr(keys.csr_der(key)).certificate)


def revoke(
    client: Client, certificate: Certificate, reason: RevocationReason.ValueType = UNSPECIFIED
) -> RevokeResponse:
    return client.revoke(issuer_id=certificate.issuer_id, serial_hex=certificate.serial_hex, reason=reason)


def own_certificate(identity: Identity) -> str:
    return f"{identity.certificate.serial_number:040x}"


def test_a_holder_revokes_its_own_certificate_by_issuer_and_serial(service: Client, held: Held) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    answer = revoke(service, held.certificate, SUPERSEDED)
    revocation = answer.certificate.revocation
    assert answer.certificate.status == CERTIFICATE_STATUS_REVOKED
    assert revocation.reason == SUPERSEDED
    assert before <= revocation.revoked_at.ToDatetime(UTC) <= datetime.now(UTC)
    assert not answer.key_blocked
    assert service.get_certificate(held.certificate.serial_hex).certificate == answer.certificate


def test_a_holder_revokes_its_own_certificate_by_der(service: Client, held: Held) -> None:
    answer = service.revoke(certificate_der=held.certificate.certificate_der)
    assert answer.certificate.serial_hex == held.certificate.serial_hex
    assert answer.certificate.revocation.reason == UNSPECIFIED


def test_an_operator_revokes_any_certificate(running: Running, held: Held) -> None:
    with running.client(running.enroll(roles=[Role.ROLE_OPERATOR])) as operator:
        assert revoke(operator, held.certificate).certificate.status == CERTIFICATE_STATUS_REVOKED


def test_an_auditor_sees_a_certificate_and_may_not_revoke_it(running: Running, held: Held) -> None:
    with running.client(running.enroll(roles=[Role.ROLE_AUDITOR])) as auditor:
        with pytest.raises(errors.IdentityNotAllowedError):
            revoke(auditor, held.certificate)
        assert not auditor.get_certificate(held.certificate.serial_hex).certificate.HasField("revocation")


@pytest.mark.parametrize("role", [Role.ROLE_SERVICE, Role.ROLE_REGISTRATION_AUTHORITY], ids=Role.Name)
def test_to_a_stranger_a_certificate_does_not_exist(running: Running, held: Held, role: Role.ValueType) -> None:
    with running.client(running.enroll(roles=[role])) as stranger:
        with pytest.raises(errors.CertificateNotFoundError) as of_another:
            revoke(stranger, held.certificate)
        with pytest.raises(errors.CertificateNotFoundError):
            stranger.revoke(certificate_der=held.certificate.certificate_der)
        with pytest.raises(errors.CertificateNotFoundError) as of_nobody:
            stranger.revoke(issuer_id=held.certificate.issuer_id, serial_hex="01")
    assert of_another.value.message == of_nobody.value.message


def test_revoking_again_gives_the_stored_revocation(running: Running, service: Client, held: Held) -> None:
    first = revoke(service, held.certificate, SUPERSEDED)
    again = revoke(running.operator, held.certificate, RevocationReason.REVOCATION_REASON_PRIVILEGE_WITHDRAWN)
    assert again.certificate.revocation == first.certificate.revocation


def test_only_key_compromise_changes_the_reason_and_the_date_stays(running: Running, held: Held) -> None:
    first = revoke(running.operator, held.certificate, SUPERSEDED).certificate.revocation
    upgraded = revoke(running.operator, held.certificate, KEY_COMPROMISE).certificate.revocation
    assert upgraded.reason == KEY_COMPROMISE
    assert upgraded.revoked_at == first.revoked_at
    assert upgraded.crl_number >= first.crl_number
    assert revoke(running.operator, held.certificate, SUPERSEDED).certificate.revocation == upgraded


@pytest.mark.parametrize(
    "reason",
    [
        RevocationReason.REVOCATION_REASON_CERTIFICATE_HOLD,
        RevocationReason.REVOCATION_REASON_REMOVE_FROM_CRL,
        RevocationReason.REVOCATION_REASON_AA_COMPROMISE,
    ],
    ids=RevocationReason.Name,
)
def test_a_reason_that_is_not_final_or_not_of_a_certificate_is_refused(
    running: Running, held: Held, reason: RevocationReason.ValueType
) -> None:
    with pytest.raises(errors.RevocationReasonNotAllowedError) as caught:
        revoke(running.operator, held.certificate, reason)
    assert list(caught.value.fields) == ["reason"]
    assert not running.operator.get_certificate(held.certificate.serial_hex).certificate.HasField("revocation")


@pytest.mark.parametrize("number", [7, 11, -1])
def test_a_number_that_is_no_reason_is_refused(running: Running, held: Held, number: int) -> None:
    request = RevokeRequest(certificate_der=held.certificate.certificate_der)
    request.reason = number  # type: ignore[assignment]  # what an older or a hostile client could send
    with pytest.raises(errors.FieldInvalidError):
        running.operator.send(Call(REVOKE, request, RevokeResponse, None))


def test_a_revocation_names_a_certificate(running: Running) -> None:
    with pytest.raises(errors.FieldInvalidError) as caught:
        running.operator.send(Call(REVOKE, RevokeRequest(), RevokeResponse, None))
    assert list(caught.value.fields) == ["target"]


@pytest.mark.parametrize("serial", ["0", "xyz", "-1", "80" + "00" * 19, "0" * 41, "0x1f", "1 ", "\u0661"])
def test_what_is_no_serial_is_refused(running: Running, serial: str) -> None:
    with pytest.raises(errors.FieldInvalidError) as caught:
        running.operator.revoke(issuer_id=running.issuer().issuer_id, serial_hex=serial)
    assert list(caught.value.fields) == ["issuer_and_serial.serial_hex"]


def test_an_issuer_that_is_not_ours_is_not_found(running: Running, held: Held) -> None:
    with pytest.raises(errors.IssuerNotFoundError):
        running.operator.revoke(issuer_id="0" * 16, serial_hex=held.certificate.serial_hex)


def test_a_certificate_that_we_never_issued_is_not_found(running: Running, thief: CA) -> None:
    for ca in (thief, foreign_root()):
        with pytest.raises(errors.CertificateNotFoundError):
            running.operator.revoke(certificate_der=ca.certify(keys.generate()))
    with pytest.raises(errors.CertificateNotFoundError):
        running.operator.revoke(certificate_der=running.issuer().certificate_der)


def test_a_certificate_with_one_changed_byte_is_not_found(running: Running, held: Held) -> None:
    changed = bytearray(held.certificate.certificate_der)
    changed[-1] ^= 1
    with pytest.raises(errors.CertificateNotFoundError):
        running.operator.revoke(certificate_der=bytes(changed))
    assert not running.operator.get_certificate(held.certificate.serial_hex).certificate.HasField("revocation")


@pytest.mark.parametrize("der", [b"\x30\x00", bytes(64 * 1024 + 1)], ids=["malformed", "too large"])
def test_what_is_no_certificate_is_refused(running: Running, der: bytes) -> None:
    with pytest.raises(errors.CertificateMalformedError) as caught:
        running.operator.revoke(certificate_der=der)
    assert list(caught.value.fields) == ["certificate_der"]


def test_a_key_is_blocked_for_ever_where_its_holder_calls_with_it(running: Running) -> None:
    identity = running.enroll()
    key = keys.from_pem(identity.key_pem)
    with running.client(identity) as client:
        certificate = client.get_certificate(own_certificate(identity)).certificate
        assert revoke(client, certificate, KEY_COMPROMISE).key_blocked
    assert_blocked(running, key)


def test_a_key_is_blocked_for_ever_where_an_operator_says_so(running: Running, held: Held) -> None:
    assert revoke(running.operator, held.certificate, KEY_COMPROMISE).key_blocked
    assert_blocked(running, held.key)


def test_a_key_is_not_blocked_where_its_holder_calls_with_another(service: Client, held: Held) -> None:
    assert not revoke(service, held.certificate, KEY_COMPROMISE).key_blocked
    service.sign_csr(keys.csr_der(held.key))


def test_another_reason_blocks_no_key(running: Running, service: Client, held: Held) -> None:
    assert not revoke(running.operator, held.certificate, RevocationReason.REVOCATION_REASON_CA_COMPROMISE).key_blocked
    service.sign_csr(keys.csr_der(held.key))


def test_a_key_is_blocked_by_an_operator_after_its_holder_could_not(
    running: Running, service: Client, held: Held
) -> None:
    assert not revoke(service, held.certificate, KEY_COMPROMISE).key_blocked
    assert revoke(running.operator, held.certificate, KEY_COMPROMISE).key_blocked
    assert revoke(service, held.certificate, KEY_COMPROMISE).key_blocked
    assert_blocked(running, held.key)


def assert_blocked(running: Running, key: keys.PrivateKey) -> None:
    """Nobody gets a certificate for it, under no identity."""
    registration = running.register()
    for validate_only in (True, False):
        with pytest.raises(errors.KeyBlockedError) as caught:
            running.operator.sign_csr(keys.csr_der(key), identity=registration.identity, validate_only=validate_only)
        assert list(caught.value.fields) == ["csr_der"]
    assert not list(running.operator.iterate_certificates(identity=registration.identity))
