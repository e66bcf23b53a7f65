"""The demo's client process: a service's whole life, over mTLS, with the client library.

    python demo/walk.py OPERATOR_FOLDER STRANGER_FOLDER

The second folder is the identity of an operator of another CA.
"""

import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path

import grpc
from cryptography import x509
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

import certmint
from certmint import Client, Identity, Purpose, Registration, RevocationReason, Role, errors, keys
from certmint.ca.v1.certificate_authority_service_pb2 import SignCSRResponse, VerifyChainResponse
from certmint.credentials import channel_credentials

PAYMENTS = "spiffe://demo.test/payments"
DNS_NAMES = ["payments.demo.test", "pay.demo.test"]
PUBLICATION_SECONDS = 5.0


class StepFailedError(Exception):
    """A step did not do what it claims."""


def main(operator_folder: Path, stranger_folder: Path) -> None:
    operator_identity = Identity.load(operator_folder)
    with Client.from_directory(operator_folder) as operator:
        register(operator)
        key, answer = issue(operator)
        payments = Identity.from_der(
            key=key,
            chain_der=answer.chain_der,
            trust_bundle_der=operator.get_trust_bundle().trust_bundle.roots_der,
            server=operator.server,
        )
        verify(operator, answer)
        use(payments, operator_identity)
        with Client(operator.server, payments) as service:
            revoke(service, answer)
            publish(operator, answer)
            judge_again(operator, answer)
            refuse_the_revoked(service)
        refuse_the_blocked_key(operator, key)
        refuse_strangers(operator.server, payments, Identity.load(stranger_folder))
        repeat(operator)


def register(operator: Client) -> None:
    with step("an operator registers the service") as say:
        registration = Registration(
            identity=PAYMENTS, dns_names=DNS_NAMES, profiles=["service"], roles=[Role.ROLE_SERVICE]
        )
        stored = operator.create_registration(registration).registration
        expect(list(stored.dns_names) == DNS_NAMES, "the registration has both DNS names")
        say(f"{stored.identity} may hold {', '.join(stored.dns_names)}; by {stored.updated_by}")


def issue(operator: Client) -> tuple[keys.PrivateKey, SignCSRResponse]:
    with step("the service makes its key, which never leaves it, and a CSR; SignCSR gives a certificate") as say:
        key = keys.generate()
        answer = operator.sign_csr(keys.csr_der(key), identity=PAYMENTS)
        certificate = answer.certificate
        expect(certificate.identity == PAYMENTS, "it is for the service")
        expect(list(certificate.dns_names) == DNS_NAMES, "it carries both DNS names")
        say(f"serial {certificate.serial_hex}")
        validity = f"{when(certificate.not_before)} to {when(certificate.not_after)}"
        say(f"valid {validity}, renew after {when(answer.renew_after)}")
        return key, answer


def verify(operator: Client, answer: SignCSRResponse) -> None:
    with step("VerifyChain: valid, also for the name asked") as say:
        verdict = judge(operator, answer, dns_name=DNS_NAMES[0])
        expect(verdict.valid, f"the chain is valid: {list(verdict.failures)}")
        wrong = judge(operator, answer, dns_name="orders.demo.test")
        expect(not wrong.valid, "it is not valid for a name that it does not carry")
        say(f"valid for {DNS_NAMES[0]}; {len(verdict.chain_der)} certificates below the root, none revoked")
        say(f"for orders.demo.test: {wrong.failures[0].detail}")


def use(payments: Identity, caller: Identity) -> None:
    with step("the certificate serves a real mTLS connection to a small demo service") as say:
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
        health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
        credentials = grpc.ssl_server_credentials(
            [(payments.key_pem, payments.chain_pem)], payments.trust_bundle_pem, require_client_auth=True
        )
        port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        options = [("grpc.ssl_target_name_override", DNS_NAMES[0])]
        with grpc.secure_channel(f"127.0.0.1:{port}", channel_credentials(caller), options) as channel:
            reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        server.stop(None)
        expect(reply.status == health_pb2.HealthCheckResponse.SERVING, "the service answered")
        say(f"{caller.spiffe_id} called {DNS_NAMES[0]}: SERVING")


def revoke(service: Client, answer: SignCSRResponse) -> None:
    with step("the service reports that its key was stolen: Revoke (keyCompromise)") as say:
        expect(service.get_configuration().identity == PAYMENTS, "the service can call before")
        revoked = service.revoke(
            certificate_der=answer.chain_der[0], reason=RevocationReason.REVOCATION_REASON_KEY_COMPROMISE
        )
        expect(revoked.key_blocked, "the key is blocked")
        revocation = answer.certificate.revocation
        revocation.CopyFrom(revoked.certificate.revocation)
        say(f"revoked at {when(revocation.revoked_at)}; every CRL from number {revocation.crl_number} on carries it, ")
        say(f"published by {when(revoked.published_by)}; the key is blocked for ever")


def publish(operator: Client, answer: SignCSRResponse) -> None:
    with step("GetCRL shows the serial, and the URL in the certificate serves the same CRL over HTTP") as say:
        ends = time.monotonic() + PUBLICATION_SECONDS
        promised = answer.certificate.revocation.crl_number
        while (crl := operator.get_crl().crl).crl_number < promised:
            expect(time.monotonic() < ends, f"CRL {promised} is published within {PUBLICATION_SECONDS} s")
            time.sleep(0.05)
        listed = x509.load_der_x509_crl(crl.crl_der)
        entry = listed.get_revoked_certificate_by_serial_number(int(answer.certificate.serial_hex, 16))
        expect(entry is not None, "the serial is on the CRL")
        url = crl_url(answer.chain_der[0])
        with urllib.request.urlopen(url, timeout=5) as response:
            expect(response.read() == crl.crl_der, "HTTP serves the same bytes")
        say(f"CRL {crl.crl_number} of {when(crl.this_update)} carries {answer.certificate.serial_hex}")
        say(f"GET {url}: the same {len(crl.crl_der)} bytes")


def judge_again(operator: Client, answer: SignCSRResponse) -> None:
    with step("VerifyChain, asked by the operator, says revoked") as say:
        verdict = judge(operator, answer, dns_name=DNS_NAMES[0])
        expect(not verdict.valid and len(verdict.failures) == 1, "revocation is what stands against it")
        say(verdict.failures[0].detail)


def refuse_the_revoked(service: Client) -> None:
    with step("the revoked service's next call is refused, on the connection it already had") as say:
        say(refused(errors.CallerRevokedError, service.get_configuration))


def refuse_the_blocked_key(operator: Client, key: keys.PrivateKey) -> None:
    with step("SignCSR with the blocked key is refused") as say:
        say(refused(errors.KeyBlockedError, lambda: operator.sign_csr(keys.csr_der(key), identity=PAYMENTS)))


def refuse_strangers(server: str, payments: Identity, stranger: Identity) -> None:
    with step("a caller with no certificate, and one with another CA's, are refused") as say:
        say(f"no certificate: {closed(server, grpc.ssl_channel_credentials(payments.trust_bundle_pem))}")
        crossed = Identity(stranger.key_pem, stranger.chain_pem, payments.trust_bundle_pem)
        say(f"{stranger.spiffe_id}: {closed(server, channel_credentials(crossed))}")


def closed(server: str, credentials: grpc.ChannelCredentials) -> str:
    """What a caller sees whom TLS does not let in."""
    with grpc.secure_channel(server, credentials) as channel:
        try:
            health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        except grpc.RpcError as error:
            expect(error.code() is grpc.StatusCode.UNAVAILABLE, "the connection is closed")
            return "the connection is closed (UNAVAILABLE)"
    raise StepFailedError("the caller was answered")


def repeat(operator: Client) -> None:
    with step("the same request_id again gives the same certificate") as say:
        csr_der, request_id = keys.csr_der(keys.generate()), str(uuid.uuid4())
        first = operator.sign_csr(csr_der, identity=PAYMENTS, request_id=request_id)
        second = operator.sign_csr(csr_der, identity=PAYMENTS, request_id=request_id)
        expect(first.chain_der == second.chain_der, "both answers are the same certificate")
        say(f"{request_id} twice: serial {second.certificate.serial_hex} both times")
        other_csr_der = keys.csr_der(keys.generate())
        reuse = refused(
            errors.RequestIdReusedError,
            lambda: operator.sign_csr(other_csr_der, identity=PAYMENTS, request_id=request_id),
        )
        say(f"with another CSR: {reuse}")


def judge(operator: Client, answer: SignCSRResponse, *, dns_name: str) -> VerifyChainResponse:
    return operator.verify_chain(answer.chain_der, purpose=Purpose.PURPOSE_SERVER_AUTH, dns_name=dns_name)


def crl_url(certificate_der: bytes) -> str:
    certificate = x509.load_der_x509_certificate(certificate_der)
    point = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value[0]
    expect(point.full_name is not None, "the certificate says where its CRL is")
    assert point.full_name
    return str(point.full_name[0].value)


def refused(kind: type[errors.CertmintError], call: Callable[[], object]) -> str:
    """What the refusal says; it must be of this kind."""
    try:
        call()
    except kind as error:
        return f"{error.reason}: {error.message}" if error.reason else str(error)
    raise StepFailedError(f"the call was answered, not refused as {kind.__name__}")


def expect(holds: bool, claim: str) -> None:  # noqa: FBT001  a claim and whether it holds
    if not holds:
        raise StepFailedError(f"this does not hold: {claim}")


def when(timestamp: Timestamp) -> str:
    return f"{timestamp.ToDatetime():%Y-%m-%d %H:%M:%S}"


@contextmanager
def step(title: str) -> Iterator[Callable[[str], None]]:
    """Says what is done, how long it took, and what came of it."""
    lines: list[str] = []
    started = time.monotonic()
    yield lines.append
    print(f"  ✓  {title}  [{(time.monotonic() - started) * 1000:.0f} ms]", flush=True)
    for line in lines:
        print(f"       {line}", flush=True)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except (StepFailedError, errors.CertmintError, certmint.IdentityError, grpc.RpcError) as failure:
        raise SystemExit(f"  ✗  {failure}") from failure
