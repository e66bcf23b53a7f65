"""Rights do not grow by a detour: through another's certificate, another certificate of a key, or an old name."""

import subprocess
import time
import uuid
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.integration.authority import BIN, make_authority, serving
from tests.integration.conftest import Running

from certmint import Client, Identity, Purpose, Registration, RevocationReason, Role, errors, keys
from certmint.ca.v1.certificate_authority_service_pb2 import VerificationFailureReason
from certmint.credentials import channel_credentials
from certmint_server.rpc.streams import MAXIMUM_OF_A_CALLER

COMPROMISE = RevocationReason.REVOCATION_REASON_KEY_COMPROMISE


@pytest.mark.parametrize("target", ["certmint/operator/admin", "certmint/server", "an-auditor"])
def test_a_registration_authority_gets_no_certificate_of_more_than_a_service(running: Running, target: str) -> None:
    if target == "an-auditor":
        target = f"auditor-{uuid.uuid4().hex[:8]}"
        running.enroll(target, roles=[Role.ROLE_AUDITOR])
    authority = running.enroll(roles=[Role.ROLE_REGISTRATION_AUTHORITY])
    csr_der = keys.csr_der(keys.generate())
    with Client(running.server.address, authority) as client:
        for profile in ("client", "server", "service"):
            with pytest.raises(errors.IdentityNotAllowedError):
                client.sign_csr(csr_der, identity=f"spiffe://demo.test/{target}", profile=profile)


def test_every_certificate_of_a_compromised_key_is_refused(running: Running) -> None:
    identity = running.enroll()
    key = keys.from_pem(identity.key_pem)
    with Client(running.server.address, identity) as service:
        sibling = service.sign_csr(keys.csr_der(key))
        service.revoke(serial_hex=sibling.certificate.serial_hex, reason=COMPROMISE)
        with pytest.raises(errors.CallerRevokedError):
            service.get_configuration()
    own_chain = [identity.certificate, *x509.load_pem_x509_certificates(identity.chain_pem)[1:]]
    verdict = running.operator.verify_chain(
        [certificate.public_bytes(Encoding.DER) for certificate in own_chain], purpose=Purpose.PURPOSE_ANY
    )
    revoked = VerificationFailureReason.VERIFICATION_FAILURE_REASON_REVOKED
    assert [failure.reason for failure in verdict.failures] == [revoked]


def test_a_name_that_is_given_to_another_does_not_bring_its_old_holder_back(running: Running) -> None:
    identity = running.enroll()
    stored = running.operator.get_registration(identity.spiffe_id).registration
    running.operator.delete_registration(identity.spiffe_id, version=stored.version)
    time.sleep(1)  # a registration counts in whole seconds
    running.operator.create_registration(Registration(identity=identity.spiffe_id, profiles=["service"]))
    with Client(running.server.address, identity) as old_holder, pytest.raises(errors.CallerNotRegisteredError):
        old_holder.get_configuration()


def test_a_caller_has_a_bounded_number_of_streams(running: Running) -> None:
    identity = running.enroll()
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(running.server.address, channel_credentials(identity), options) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watches = [stub.Watch(health_pb2.HealthCheckRequest(), timeout=30) for _ in range(MAXIMUM_OF_A_CALLER)]
        for watch in watches:
            next(watch)
        with pytest.raises(grpc.RpcError) as refused:
            next(stub.Watch(health_pb2.HealthCheckRequest(), timeout=30))
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        watches[0].cancel()
        ends = time.monotonic() + 10
        while not _opens(stub):
            assert time.monotonic() < ends, "a stream that was closed still counts"
            time.sleep(0.05)
        for watch in watches:
            watch.cancel()


def _opens(stub: health_pb2_grpc.HealthStub) -> bool:
    try:
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=10)
        next(watch)
        watch.cancel()
    except grpc.RpcError:
        return False
    return True


def test_a_revoked_issuing_ca_issues_nothing_and_its_callers_are_refused(data: Path) -> None:
    authority = make_authority(data)
    with serving(data) as server, authority.operator(server) as operator:
        issuing = operator.get_configuration().issuers[0].issuer_id
        command: list[str | Path] = [BIN / "certmint-server", "issuer", "root-crl", "--config", data]
        subprocess.run([*command, "--revoke", issuing], check=True, capture_output=True, timeout=60)
        ends = time.monotonic() + 10
        while not _is_refused(operator):
            assert time.monotonic() < ends, "callers of a revoked issuer are still let in"
            time.sleep(0.1)


def _is_refused(client: Client) -> bool:
    try:
        client.get_configuration()
    except errors.CallerRevokedError:
        return True
    return False


def test_a_refusal_that_names_what_was_sent_stays_short(running: Running) -> None:
    identity: Identity = running.enroll()
    name = ".".join(["a" * 60] * 4)
    with Client(running.server.address, identity) as service, pytest.raises(errors.NameNotGrantedError) as refused:
        service.sign_csr(keys.csr_der(keys.generate(), dns_names=[name]))
    assert name in refused.value.message
