import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tests.integration.conftest import Running
from tests.integration.outsiders import CA, foreign_root
from tests.integration.raw import channel_of, first_of_stream, send

from certmint import Client, Identity, Role, errors, keys, save_identity
from certmint_server.registry.registration import Role as ServerRole
from certmint_server.rpc.policy import POLICY

ROLES = [Role.ROLE_SERVICE, Role.ROLE_REGISTRATION_AUTHORITY, Role.ROLE_AUDITOR, Role.ROLE_OPERATOR]
STREAMING = ("/grpc.health.v1.Health/Watch", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")


@pytest.fixture(scope="session")
def channels(running: Running) -> Iterator[dict[Role.ValueType, grpc.Channel]]:
    """A connection of an identity with each role."""
    opened = {role: channel_of(running.server.address, running.enroll(roles=[role])) for role in ROLES}
    yield opened
    for channel in opened.values():
        channel.close()


def outcome(channel: grpc.Channel, method: str) -> tuple[grpc.StatusCode, str]:
    """What an empty message to a method comes to: the status, and the reason of a refusal."""
    try:
        (first_of_stream if method in STREAMING else send)(channel, method)
    except grpc.RpcError as error:
        return error.code(), errors.from_rpc_error(error).reason
    return grpc.StatusCode.OK, ""


@pytest.mark.parametrize("role", ROLES, ids=Role.Name)
@pytest.mark.parametrize("method", list(POLICY))
def test_each_role_may_call_what_the_table_says_and_nothing_else(
    channels: dict[Role.ValueType, grpc.Channel], method: str, role: Role.ValueType
) -> None:
    code, reason = outcome(channels[role], method)
    is_allowed = not POLICY[method].isdisjoint({ServerRole.SERVICE, ServerRole(role)})
    refused = (grpc.StatusCode.PERMISSION_DENIED, "METHOD_NOT_ALLOWED")
    assert ((code, reason) != refused) == is_allowed
    if is_allowed:
        answered = (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND)
        assert code in answered


def test_the_table_gives_no_admin_method_to_a_service() -> None:
    of_services = {method for method, roles in POLICY.items() if ServerRole.SERVICE in roles}
    assert not [method for method in of_services if "AdminService" in method]
    changing = [method for method in POLICY if method.endswith(("Registration", "Profile")) and "/Get" not in method]
    assert {frozenset({ServerRole.OPERATOR})} == {POLICY[method] for method in changing}


@pytest.mark.parametrize("method", [*POLICY, "/certmint.ca.v1.AdminService/NoSuchMethod"])
def test_without_a_client_certificate_no_method_answers(running: Running, method: str) -> None:
    roots = running.authority.operator_identity.trust_bundle_pem
    with grpc.secure_channel(running.server.address, grpc.ssl_channel_credentials(roots)) as channel:
        assert outcome(channel, method)[0] is grpc.StatusCode.UNAVAILABLE


def test_plain_text_is_not_answered(running: Running) -> None:
    with grpc.insecure_channel(running.server.address) as channel:
        assert outcome(channel, "/grpc.health.v1.Health/Check")[0] is grpc.StatusCode.UNAVAILABLE


def refuses_the_connection(running: Running, identity: Identity) -> None:
    with running.client(identity) as client, pytest.raises(errors.UnavailableError):
        client.get_configuration()


def test_a_certificate_of_a_foreign_ca_opens_no_connection(running: Running) -> None:
    key, root = keys.generate(), foreign_root()
    name = x509.UniformResourceIdentifier(running.authority.operator_identity.spiffe_id)
    refuses_the_connection(running, running.identity_of(key, [root.certify(key, name)]))


def test_a_foreign_ca_of_the_same_name_opens_no_connection(running: Running) -> None:
    key, root = keys.generate(), foreign_root("Certmint Root CA 1")
    name = x509.UniformResourceIdentifier(running.authority.operator_identity.spiffe_id)
    refuses_the_connection(running, running.identity_of(key, [root.certify(key, name), root.der]))


def test_a_ca_certificate_is_no_client_certificate(running: Running, thief: CA) -> None:
    refused = pytest.raises((errors.UnavailableError, errors.CallerUnknownError))
    with running.client(running.identity_of(thief.key, [thief.der])) as client, refused:
        client.get_configuration()


def test_a_certificate_that_the_registry_does_not_know_is_refused(running: Running, thief: CA) -> None:
    key = keys.generate()
    name = x509.UniformResourceIdentifier(running.authority.operator_identity.spiffe_id)
    registered = running.authority.operator_identity.certificate.serial_number
    for serial_number in (0, registered):
        leaf = thief.certify(key, name, serial_number=serial_number)
        identity = running.identity_of(key, [leaf, thief.der])
        with running.client(identity) as client, pytest.raises(errors.CallerUnknownError):
            client.get_configuration()


def refused_on_an_open_connection(
    running: Running, identity: Identity, act: Callable[[Client], object], refusal: type[errors.CertmintError]
) -> None:
    with running.client(identity) as client:
        client.get_configuration()
        act(client)
        for call in (client.get_configuration, client.get_crl, client.list_certificates):
            with pytest.raises(refusal):
                call()


def test_a_certificate_that_expires_is_refused_on_the_connection_it_opened(running: Running) -> None:
    registration = running.register()
    key = keys.generate()
    lifetime = timedelta(seconds=3)
    answer = running.operator.sign_csr(keys.csr_der(key), identity=registration.identity, lifetime=lifetime)
    identity = running.identity_of(key, list(answer.chain_der))

    def wait(client: Client) -> None:
        while datetime.now(UTC) <= identity.not_after:
            time.sleep(0.05)

    refused_on_an_open_connection(running, identity, wait, errors.CallerExpiredError)
    with running.client(identity) as client, pytest.raises(errors.IdentityExpiredError):
        client.get_configuration()


def test_a_certificate_that_is_revoked_is_refused_on_the_connection_it_opened(running: Running) -> None:
    identity = running.enroll()

    def revoke(client: Client) -> None:
        client.revoke(certificate_der=identity.certificate.public_bytes(Encoding.DER))

    refused_on_an_open_connection(running, identity, revoke, errors.CallerRevokedError)
    with running.client(identity) as client, pytest.raises(errors.CallerRevokedError):
        client.get_configuration()


def test_a_disabled_registration_is_refused_until_it_is_enabled_again(running: Running) -> None:
    identity = running.enroll()
    registration = running.operator.get_registration(identity.spiffe_id).registration

    def disable(client: Client) -> None:
        registration.disabled = True
        registration.version = running.operator.update_registration(registration).registration.version

    refused_on_an_open_connection(running, identity, disable, errors.CallerDisabledError)
    registration.disabled = False
    running.operator.update_registration(registration)
    with running.client(identity) as client:
        assert client.get_configuration().identity == identity.spiffe_id


def test_a_deleted_registration_is_refused(running: Running) -> None:
    identity = running.enroll()

    def delete(client: Client) -> None:
        stored = running.operator.get_registration(identity.spiffe_id).registration
        running.operator.delete_registration(identity.spiffe_id, version=stored.version)

    refused_on_an_open_connection(running, identity, delete, errors.CallerNotRegisteredError)


def test_a_role_that_is_taken_away_is_gone_at_the_next_call(running: Running) -> None:
    identity = running.enroll(roles=[Role.ROLE_OPERATOR])
    with running.client(identity) as client:
        registration = client.get_registration(identity.spiffe_id).registration
        registration.roles[:] = []
        client.update_registration(registration)
        with pytest.raises(errors.MethodNotAllowedError):
            client.get_registration(identity.spiffe_id)


def test_the_old_certificate_works_until_it_ends_beside_the_new_one(running: Running) -> None:
    identity = running.enroll()
    key = keys.generate()
    with running.client(identity) as old:
        chain = list(old.sign_csr(keys.csr_der(key)).chain_der)
        with running.client(running.identity_of(key, chain)) as new:
            assert old.get_configuration().identity == new.get_configuration().identity


@pytest.mark.parametrize("key_type", [keys.KeyType.ECDSA_P384, keys.KeyType.RSA_2048], ids=str)
def test_a_caller_may_hold_any_key_that_tls_takes(running: Running, key_type: keys.KeyType) -> None:
    registration, key = running.register(), keys.generate(key_type)
    chain = list(running.operator.sign_csr(keys.csr_der(key), identity=registration.identity).chain_der)
    with running.client(running.identity_of(key, chain)) as client:
        assert client.get_configuration().identity == registration.identity


def handshake(running: Running, folder: Path, version: ssl.TLSVersion) -> str | None:
    """The version that a connection of the operator got, with nothing newer and nothing older on offer."""
    save_identity(folder, running.authority.operator_identity)
    context = ssl.create_default_context(cafile=str(folder / "current" / "trust-bundle.pem"))
    context.load_cert_chain(folder / "current" / "chain.pem", folder / "current" / "key.pem")
    context.set_alpn_protocols(["h2"])
    context.minimum_version = context.maximum_version = version
    host, _, port = running.server.address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=5) as connection,
        context.wrap_socket(connection, server_hostname=host) as secured,
    ):
        return secured.version()


def test_tls_1_3_is_spoken(running: Running, tmp_path: Path) -> None:
    assert handshake(running, tmp_path / "identity", ssl.TLSVersion.TLSv1_3) == "TLSv1.3"


def test_tls_1_2_is_refused(running: Running, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLError):
        handshake(running, tmp_path / "identity", ssl.TLSVersion.TLSv1_2)


def test_health_and_reflection_answer_a_caller(channels: dict[Role.ValueType, grpc.Channel]) -> None:
    channel = channels[Role.ROLE_SERVICE]
    assert send(channel, "/grpc.health.v1.Health/Check") == b"\x08\x01"  # SERVING
    assert b"certmint.ca.v1.AdminService" in send(channel, "/grpc.health.v1.Health/List")
    list_services = b"\x3a\x00"  # ServerReflectionRequest.list_services
    answer = first_of_stream(channel, STREAMING[1], list_services)
    for method in POLICY:
        assert method.split("/")[1].encode() in answer
