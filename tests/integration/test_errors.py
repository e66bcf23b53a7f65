import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.integration.conftest import Running, fresh_identity
from tests.integration.outsiders import CA
from tests.integration.raw import channel_of, send
from tests.unit.server.issuance.csrs import csr_with_attributes, extension_request

from certmint import Client, Profile, Purpose, Registration, RevocationReason, Role, errors, keys
from certmint.ca.v1.certificate_authority_service_pb2 import SignCSRResponse
from certmint.ca.v1.errors_pb2 import ErrorReason

PROTO = Path(__file__).parents[2] / "protos" / "certmint" / "ca" / "v1" / "errors.proto"
SIGN_CSR = "/certmint.ca.v1.CertificateAuthorityService/SignCSR"
LEAK = re.compile(
    r"Traceback|\.py\b|line \d|0x[0-9a-f]|/tmp|certmint\.db|(?i:sql)|SELECT|INSERT|psycopg|asn1|Error\b|\bNone\b|b'"
)

# What no caller can bring about by itself, and where it is tested.
NOT_FROM_OUTSIDE = {
    "TRANSPORT_INSECURE": "the handshake refuses before: test_callers.py",
    "STORE_UNAVAILABLE": "needs a database that goes away: test_outage.py",
    "DEADLINE_EXCEEDED": "is the client's own, below, unless it sets none",
    "ISSUER_NOT_ACTIVE": "needs an issuer past its end",
    "CRL_TOO_LARGE": "needs 79,000 revocations: test_faults.py",
    "INTERNAL": "needs a fault of ours: test_faults.py",
    "TOO_MANY_STREAMS": "needs as many streams as a caller may have: test_privilege.py",
}


@dataclass(frozen=True, slots=True)
class Scene:
    """A service with one certificate, an operator, and a CSR that would be signed."""

    running: Running
    service: Client
    thief: CA
    csr_der: bytes
    own_der: bytes

    @property
    def operator(self) -> Client:
        return self.running.operator

    def call_as(self, **granted: Any) -> None:
        """Calls with an identity of its own."""
        with self.running.client(self.running.enroll(**granted)) as client:
            client.get_registration(fresh_identity())

    def call_with_unknown_certificate(self) -> None:
        key = keys.generate()
        identity = self.running.identity_of(key, [self.thief.certify(key), self.thief.der])
        with self.running.client(identity) as client:
            client.get_configuration()

    def call_after(self, act: Callable[[Client, Registration, bytes], object]) -> None:
        """Calls on a connection whose caller something was done to."""
        identity = self.running.enroll(profiles=["service"])
        registration = self.operator.get_registration(identity.spiffe_id).registration
        with self.running.client(identity) as client:
            chain = client.sign_csr(self.csr_der, lifetime=timedelta(seconds=1)).chain_der
            act(client, registration, chain[0])
            client.get_configuration()

    def call_after_the_end(self) -> None:
        registration, key = self.running.register(), keys.generate()
        lifetime = timedelta(seconds=2)
        chain = self.operator.sign_csr(keys.csr_der(key), identity=registration.identity, lifetime=lifetime).chain_der
        with self.running.client(self.running.identity_of(key, list(chain))) as client:
            while True:
                client.get_configuration()

    def send_raw(self, message: bytes) -> None:
        identity = self.running.authority.operator_identity
        with channel_of(self.running.server.address, identity) as channel:
            try:
                send(channel, SIGN_CSR, message)
            except grpc.RpcError as error:
                raise errors.from_rpc_error(error) from error

    def reuse_request_id(self) -> None:
        request_id = "0190163d-8694-739b-aea5-966c26f8ad91"
        self.service.sign_csr(self.csr_der, request_id=request_id)
        self.service.sign_csr(keys.csr_der(keys.generate()), request_id=request_id)

    def sign_for_disabled(self) -> None:
        self.operator.sign_csr(self.csr_der, identity=self.running.register(disabled=True).identity)

    def sign_with_blocked_key(self) -> None:
        csr_der = keys.csr_der(keys.generate())
        reason = RevocationReason.REVOCATION_REASON_KEY_COMPROMISE
        self.operator.revoke(certificate_der=self.service.sign_csr(csr_der).chain_der[0], reason=reason)
        self.service.sign_csr(csr_der)

    def sign_weak_key(self) -> None:
        self.service.sign_csr(keys.csr_der(rsa.generate_private_key(3, 2048)))

    def revoke_own(self, client: Client, _: Registration, __: bytes) -> None:
        own = next(c for c in client.iterate_certificates() if c.requested_by != c.identity)
        client.revoke(issuer_id=own.issuer_id, serial_hex=own.serial_hex)

    def disable(self, _: Client, registration: Registration, __: bytes) -> None:
        registration.disabled = True
        self.operator.update_registration(registration)

    def delete(self, _: Client, registration: Registration, __: bytes) -> None:
        self.operator.delete_registration(registration.identity, version=registration.version)


REGISTRATION = "registration.identity"
# How to bring each reason about, and the field that is at fault.
PROVOKED: dict[str, tuple[Callable[[Scene], object], str]] = {
    "CALLER_UNKNOWN": (lambda s: s.call_with_unknown_certificate(), ""),
    "CALLER_EXPIRED": (lambda s: s.call_after_the_end(), ""),
    "CALLER_REVOKED": (lambda s: s.call_after(s.revoke_own), ""),
    "CALLER_NOT_REGISTERED": (lambda s: s.call_after(s.delete), ""),
    "CALLER_DISABLED": (lambda s: s.call_after(s.disable), ""),
    "METHOD_NOT_ALLOWED": (lambda s: s.call_as(roles=[Role.ROLE_SERVICE]), ""),
    "IDENTITY_NOT_ALLOWED": (lambda s: s.service.list_certificates(identity="spiffe://demo.test/x"), "identity"),
    "NAME_NOT_GRANTED": (lambda s: s.service.sign_csr(keys.csr_der(keys.generate(), dns_names=["x.test"])), "csr_der"),
    "PROFILE_NOT_GRANTED": (lambda s: s.service.sign_csr(s.csr_der, profile="x"), "profile"),
    "REGISTRATION_DISABLED": (lambda s: s.sign_for_disabled(), "identity"),
    "REQUEST_MALFORMED": (lambda s: s.send_raw(b"\xff"), ""),
    "FIELD_INVALID": (lambda s: s.service.sign_csr(s.csr_der, labels={"": ""}), "labels"),
    "CSR_MALFORMED": (lambda s: s.service.sign_csr(b"\x30\x00"), "csr_der"),
    "CSR_TOO_LARGE": (lambda s: s.service.sign_csr(bytes(16 * 1024 + 1)), "csr_der"),
    "CSR_SIGNATURE_INVALID": (lambda s: s.service.sign_csr(flipped(s.csr_der)), "csr_der"),
    "CSR_ATTRIBUTE_INVALID": (
        lambda s: s.service.sign_csr(csr_with_attributes(extension_request(b"a.test"), extension_request(b"b.test"))),
        "csr_der",
    ),
    "KEY_TYPE_NOT_ALLOWED": (
        lambda s: s.service.sign_csr(keys.csr_der(rsa.generate_private_key(65537, 1024))),
        "csr_der",
    ),
    "KEY_WEAK": (lambda s: s.sign_weak_key(), "csr_der"),
    "NAME_INVALID": (lambda s: s.service.sign_csr(keys.csr_der(keys.generate(), dns_names=["*.x.test"])), "csr_der"),
    "LIFETIME_NOT_ALLOWED": (lambda s: s.service.sign_csr(s.csr_der, lifetime=timedelta(0)), "lifetime"),
    "REQUEST_ID_INVALID": (lambda s: s.service.sign_csr(s.csr_der, request_id="x"), "request_id"),
    "CERTIFICATE_MALFORMED": (
        lambda s: s.service.verify_chain([b"x"], purpose=Purpose.PURPOSE_ANY),
        "chain_der[0]",
    ),
    "REVOCATION_REASON_NOT_ALLOWED": (
        lambda s: s.service.revoke(
            certificate_der=s.own_der, reason=RevocationReason.REVOCATION_REASON_CERTIFICATE_HOLD
        ),
        "reason",
    ),
    "PAGE_TOKEN_INVALID": (lambda s: s.service.list_certificates(page_token="x"), "page_token"),
    "IDENTITY_INVALID": (lambda s: s.operator.create_registration(Registration(identity="x")), REGISTRATION),
    "PROFILE_INVALID": (lambda s: s.operator.apply_profile(Profile(name="X")), "profile.name"),
    "CERTIFICATE_NOT_FOUND": (lambda s: s.service.get_certificate("01"), "serial_hex"),
    "REGISTRATION_NOT_FOUND": (lambda s: s.operator.get_registration("x"), "identity"),
    "PROFILE_NOT_FOUND": (lambda s: s.operator.get_profile("x"), "name"),
    "ISSUER_NOT_FOUND": (lambda s: s.service.get_crl(issuer_id="x"), "issuer_id"),
    "CRL_NOT_FOUND": (lambda s: s.service.get_crl(shard=2), "shard"),
    "REQUEST_ID_REUSED": (lambda s: s.reuse_request_id(), "request_id"),
    "REGISTRATION_EXISTS": (
        lambda s: s.operator.create_registration(s.operator.list_registrations().registrations[0]),
        REGISTRATION,
    ),
    "VERSION_MISMATCH": (
        lambda s: s.operator.delete_registration(s.running.register().identity, version=2),
        "version",
    ),
    "KEY_BLOCKED": (lambda s: s.sign_with_blocked_key(), "csr_der"),
}


@pytest.fixture(scope="session")
def scene(running: Running, thief: CA) -> Iterator[Scene]:
    with running.client(running.enroll()) as service:
        csr_der = keys.csr_der(keys.generate())
        yield Scene(running, service, thief, csr_der, service.sign_csr(csr_der).chain_der[0])


def flipped(der: bytes) -> bytes:
    return der[:-1] + bytes([der[-1] ^ 1])


def documented_codes() -> dict[str, str]:
    """The gRPC status that errors.proto gives for each reason, as the first word of its comment."""
    pairs = re.findall(
        r"// ([A-Z_]+)\. .*?\n(?:  //.*\n)*  ERROR_REASON_([A-Z_]+) = ", PROTO.read_text(encoding="utf-8")
    )
    return {reason: code for code, reason in pairs}


def test_every_reason_is_provoked_here_or_tested_elsewhere() -> None:
    names = {name.removeprefix("ERROR_REASON_") for name, _ in ErrorReason.items()} - {"UNSPECIFIED"}
    assert names == PROVOKED.keys() | NOT_FROM_OUTSIDE.keys()
    assert not PROVOKED.keys() & NOT_FROM_OUTSIDE.keys()
    assert names == documented_codes().keys()


@pytest.mark.parametrize("reason", list(PROVOKED))
def test_a_refusal_has_the_documented_status_its_own_class_and_its_field_and_leaks_nothing(
    scene: Scene, reason: str
) -> None:
    provoke, field = PROVOKED[reason]
    with pytest.raises(errors.CertmintError) as caught:
        provoke(scene)
    error = caught.value
    assert error.reason == reason
    assert type(error) is errors.CertmintError.by_reason[reason]
    assert error.__cause__.code().name == documented_codes()[reason]  # type: ignore[union-attr]  # a Call as well
    assert error.fields == ({field: error.message} if field else {})
    assert not LEAK.search(error.message), error.message
    assert error.message.endswith(".")


def test_a_method_that_there_is_not_is_unimplemented(scene: Scene) -> None:
    identity = scene.running.authority.operator_identity
    with channel_of(scene.running.server.address, identity) as channel, pytest.raises(grpc.RpcError) as caught:
        send(channel, SIGN_CSR + "s")
    assert isinstance(errors.from_rpc_error(caught.value), errors.UnimplementedError)


def test_a_message_above_the_limit_is_refused_unread(scene: Scene) -> None:
    with pytest.raises(errors.ResourceExhaustedError):
        scene.service.sign_csr(bytes(3 * 1024 * 1024))
    assert isinstance(scene.service.sign_csr(scene.csr_der), SignCSRResponse)


def test_a_deadline_that_ends_is_a_class_of_its_own(scene: Scene) -> None:
    with pytest.raises(errors.DeadlineExceededError):
        scene.service.sign_csr(scene.csr_der, timeout=0.0001)


def test_a_call_that_is_given_up_does_the_server_no_harm(scene: Scene) -> None:
    for _ in range(20):
        with suppress(errors.DeadlineExceededError):
            scene.service.sign_csr(scene.csr_der, timeout=0.003)
    assert scene.service.get_configuration().identity
