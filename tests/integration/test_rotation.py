"""What a server renews by itself while it serves: its own certificate, and its CRL."""

import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from cryptography import x509
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.integration.authority import Authority, Server, make_authority, serving

from certmint.credentials import channel_credentials

CERTIFICATE_LIFETIME = timedelta(seconds=10)
RENEW_AFTER_PERCENT = 20
CRL_LIFETIME_SECONDS = 6
RENEWALS = 3
CRLS = 3
PATIENCE_SECONDS = 30.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One whose server certificates last 10 seconds and are renewed after 2, and whose CRLs last 6."""
    authority = make_authority(tmp_path_factory.mktemp("rotation") / "ca")
    config = authority.data / "certmint.toml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('lifetime = "24h"', f'lifetime = "{CRL_LIFETIME_SECONDS}s"'), encoding="utf-8")
    with serving(authority.data) as server, authority.operator(server) as operator:
        profile = operator.get_profile("server").profile
        lifetime = Duration()
        lifetime.FromTimedelta(CERTIFICATE_LIFETIME)
        profile.default_lifetime.CopyFrom(lifetime)
        profile.backdate.CopyFrom(Duration())
        profile.renew_after_percent = RENEW_AFTER_PERCENT
        operator.apply_profile(profile)
    return authority


@pytest.fixture
def server(authority: Authority) -> Iterator[Server]:
    with serving(authority.data) as running:
        yield running


def test_the_servers_certificate_renews_and_no_call_fails(authority: Authority, server: Server) -> None:
    shown: list[int] = []
    states: list[grpc.ChannelConnectivity] = []
    ends = time.monotonic() + PATIENCE_SECONDS
    with grpc.secure_channel(server.address, channel_credentials(authority.operator_identity)) as standing:
        standing.subscribe(states.append, try_to_connect=True)
        health = health_pb2_grpc.HealthStub(standing)
        while len(set(shown)) <= RENEWALS:
            assert time.monotonic() < ends, shown
            shown.append(_shown_serial(authority, server))
            health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE_SECONDS)
            with authority.operator(server) as on_a_new_connection:
                on_a_new_connection.get_configuration()
            time.sleep(0.1)
    # Serials grow with time: what was replaced is never shown again.
    assert shown == sorted(shown)
    ready = grpc.ChannelConnectivity.READY
    assert states[states.index(ready) :] == [ready]


def test_a_newer_crl_is_there_before_the_next_update_of_the_last(authority: Authority, server: Server) -> None:
    numbers: list[int] = []
    ends = time.monotonic() + PATIENCE_SECONDS
    with authority.operator(server) as operator:
        while len(set(numbers)) < CRLS:
            assert time.monotonic() < ends, numbers
            asked = datetime.now(UTC)
            crl = operator.get_crl().crl
            assert asked < crl.next_update.ToDatetime(tzinfo=UTC)
            numbers.append(crl.crl_number)
            time.sleep(0.1)
    assert numbers == sorted(numbers)


def _shown_serial(authority: Authority, server: Server) -> int:
    """The serial of the certificate that a new connection is shown, which must be valid and of this name."""
    identity = authority.data / "operator" / "current"
    context = ssl.create_default_context(cafile=identity / "trust-bundle.pem")
    context.load_cert_chain(identity / "chain.pem", identity / "key.pem")
    context.set_alpn_protocols(["h2"])
    host, _, port = server.address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS) as connection,
        context.wrap_socket(connection, server_hostname=host) as tls,
    ):
        certificate_der = tls.getpeercert(binary_form=True)
    assert certificate_der
    return x509.load_der_x509_certificate(certificate_der).serial_number
