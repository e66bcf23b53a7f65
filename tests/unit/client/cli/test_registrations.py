import json

import pytest
from tests.unit.client.cli.conftest import Certmint
from tests.unit.client.peer import Peer

from certmint.ca.v1 import admin_service_pb2 as admin
from certmint.ca.v1 import resources_pb2 as resources

PAYMENTS = "spiffe://example.org/payments"


@pytest.fixture
def stored(peer: Peer) -> resources.Registration:
    """A registration that the peer holds."""
    registration = resources.Registration(
        identity=PAYMENTS,
        dns_names=["a.example"],
        ip_addresses=["192.0.2.1"],
        profiles=["service"],
        roles=[resources.ROLE_SERVICE],
        version=7,
    )
    peer.answers("GetRegistration", admin.GetRegistrationResponse(registration=registration))
    peer.answers("UpdateRegistration", admin.UpdateRegistrationResponse(registration=registration))
    peer.answers("DeleteRegistration", admin.DeleteRegistrationResponse())
    return registration


def test_create_sends_the_whole_grant(certmint: Certmint, peer: Peer, capsys: pytest.CaptureFixture[str]) -> None:
    peer.answers(
        "CreateRegistration",
        lambda request, _: admin.CreateRegistrationResponse(registration=request.registration),
    )
    names = ["--dns", "a.example", "--dns", "b.example", "--ip", "192.0.2.1"]
    grant = ["--profile", "server", "--role", "registration-authority", "--role", "auditor", "--disabled"]
    assert certmint("registration", "create", PAYMENTS, *names, *grant) == 0
    assert peer.requests("CreateRegistration")[0].registration == resources.Registration(
        identity=PAYMENTS,
        dns_names=["a.example", "b.example"],
        ip_addresses=["192.0.2.1"],
        profiles=["server"],
        roles=[resources.ROLE_REGISTRATION_AUTHORITY, resources.ROLE_AUDITOR],
        disabled=True,
    )
    out = capsys.readouterr().out
    assert "registration-authority, auditor" in out
    assert "disabled" in out


def test_get_shows_one(certmint: Certmint, stored: resources.Registration, capsys: pytest.CaptureFixture[str]) -> None:
    assert certmint("registration", "get", PAYMENTS) == 0
    out = capsys.readouterr().out
    assert stored.identity in out
    assert "enabled" in out


def test_list_shows_all_pages(certmint: Certmint, peer: Peer, capsys: pytest.CaptureFixture[str]) -> None:
    first = admin.ListRegistrationsResponse(next_page_token="p2")
    first.registrations.add(identity="spiffe://example.org/a")
    second = admin.ListRegistrationsResponse()
    second.registrations.add(identity="spiffe://example.org/b", disabled=True)
    peer.answers("ListRegistrations", first, second, first, second)
    assert certmint("registration", "list") == 0
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["IDENTITY", "STATUS"],
        ["spiffe://example.org/a", "enabled"],
        ["spiffe://example.org/b", "disabled"],
    ]
    assert certmint("registration", "list", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["registrations"]) == 2


def test_update_changes_what_is_given_and_keeps_the_rest(
    certmint: Certmint, peer: Peer, stored: resources.Registration
) -> None:
    assert certmint("registration", "update", PAYMENTS, "--dns", "b.example", "--clear", "ip", "--disable") == 0
    expected = resources.Registration()
    expected.CopyFrom(stored)
    expected.dns_names[:] = ["b.example"]
    expected.ip_addresses[:] = []
    expected.disabled = True
    assert peer.requests("UpdateRegistration")[0].registration == expected


def test_update_changes_profiles_and_roles(certmint: Certmint, peer: Peer, stored: resources.Registration) -> None:
    stored.disabled = True
    peer.answers("GetRegistration", admin.GetRegistrationResponse(registration=stored))
    options = ["--profile", "client", "--role", "operator", "--ip", "2001:db8::1", "--clear", "dns", "--enable"]
    assert certmint("registration", "update", PAYMENTS, *options) == 0
    sent = peer.requests("UpdateRegistration")[0].registration
    assert (list(sent.dns_names), list(sent.ip_addresses)) == ([], ["2001:db8::1"])
    assert (list(sent.profiles), list(sent.roles)) == (["client"], [resources.ROLE_OPERATOR])
    assert not sent.disabled


@pytest.mark.parametrize(("options", "version"), [([], 7), (["--version", "3"], 3)], ids=["read", "given"])
def test_delete_names_the_version(
    certmint: Certmint, peer: Peer, stored: resources.Registration, options: list[str], version: int
) -> None:
    assert certmint("registration", "delete", PAYMENTS, *options) == 0
    assert peer.requests("DeleteRegistration") == [
        admin.DeleteRegistrationRequest(identity=stored.identity, version=version)
    ]
