import base64
import json
from typing import Any

import pytest
from tests.integration.conftest import Running, fresh_identity

from certmint import Registration, Role, errors, keys


def test_a_registration_is_read_as_it_was_created(running: Running) -> None:
    created = running.register(
        dns_names=["A.reg.test", "b.reg.test", "a.reg.test"],
        ip_addresses=["192.0.2.1", "2001:DB8:0::1"],
        profiles=["service", "client", "service"],
        roles=[Role.ROLE_AUDITOR],
    )
    assert list(created.dns_names) == ["a.reg.test", "b.reg.test"]
    assert list(created.ip_addresses) == ["192.0.2.1", "2001:db8::1"]
    assert list(created.profiles) == ["service", "client"]
    assert list(created.roles) == [Role.ROLE_SERVICE, Role.ROLE_AUDITOR]
    assert created.version == 1
    assert created.created_at == created.updated_at
    assert created.updated_by == running.authority.operator_identity.spiffe_id
    assert running.operator.get_registration(created.identity).registration == created


def test_what_the_server_sets_cannot_be_set(running: Running) -> None:
    registration = Registration(identity=fresh_identity(), version=7, updated_by="somebody")
    registration.created_at.seconds = 1
    created = running.operator.create_registration(registration).registration
    assert created.version == 1
    assert created.created_at.seconds > 1
    assert created.updated_by == running.authority.operator_identity.spiffe_id


def test_an_identity_is_registered_once(running: Running) -> None:
    created = running.register(dns_names=["once.reg.test"])
    with pytest.raises(errors.RegistrationExistsError) as caught:
        running.register(identity=created.identity)
    assert list(caught.value.fields) == ["registration.identity"]
    assert running.operator.get_registration(created.identity).registration == created


def test_an_update_replaces_everything_and_counts_the_version(running: Running) -> None:
    created = running.register(dns_names=["old.reg.test"], roles=[Role.ROLE_AUDITOR])
    changed = Registration(identity=created.identity, dns_names=["new.reg.test"], version=1, disabled=True)
    updated = running.operator.update_registration(changed).registration
    assert (list(updated.dns_names), list(updated.profiles)) == (["new.reg.test"], [])
    assert (list(updated.roles), updated.disabled) == ([Role.ROLE_SERVICE], True)
    assert (updated.version, updated.created_at) == (2, created.created_at)
    assert running.operator.get_registration(created.identity).registration == updated


@pytest.mark.parametrize("version", [0, 1, 3, 2**31, 2**63 - 1, 2**63, 2**64 - 1])
def test_a_version_that_was_not_read_changes_and_removes_nothing(running: Running, version: int) -> None:
    created = running.register()
    current = running.operator.update_registration(created).registration
    assert current.version == 2
    stale = Registration(identity=created.identity, version=version)
    with pytest.raises(errors.VersionMismatchError):
        running.operator.update_registration(stale)
    with pytest.raises(errors.VersionMismatchError):
        running.operator.delete_registration(created.identity, version=version)
    assert running.operator.get_registration(created.identity).registration == current


def test_a_deleted_registration_is_gone_and_can_be_made_anew(running: Running) -> None:
    created = running.register()
    running.operator.delete_registration(created.identity, version=1)
    for call in (
        lambda: running.operator.get_registration(created.identity),
        lambda: running.operator.update_registration(created),
        lambda: running.operator.delete_registration(created.identity, version=1),
        lambda: running.operator.sign_csr(keys.csr_der(keys.generate()), identity=created.identity),
    ):
        with pytest.raises(errors.RegistrationNotFoundError) as caught:
            call()
        assert list(caught.value.fields) == ["identity"]
    assert running.register(identity=created.identity).version == 1


@pytest.mark.parametrize(
    "identity",
    [
        "",
        "payments",
        "spiffe://other.test/payments",
        "spiffe://demo.test",
        "spiffe://demo.test/",
        "spiffe://demo.test/a//b",
        "spiffe://demo.test/a/",
        "spiffe://demo.test/../a",
        "spiffe://demo.test/a?b",
        "spiffe://demo.test/a#b",
        "spiffe://demo.test/a%20b",
        "spiffe://demo.test/a\0b",
        "spiffe://demo.test/a\n",
        "spiffe://DEMO.test/a",
        "https://demo.test/a",
        "spiffe://demo.test/" + "a" * 2048,
    ],
    ids=range(16),
)
def test_what_is_no_identity_of_the_trust_domain_is_refused(running: Running, identity: str) -> None:
    for call in (running.operator.create_registration, running.operator.update_registration):
        with pytest.raises(errors.IdentityInvalidError) as caught:
            call(Registration(identity=identity))
        assert list(caught.value.fields) == ["registration.identity"]


@pytest.mark.parametrize(
    ("granted", "error", "field"),
    [
        ({"dns_names": ["ok.test", "*.reg.test"]}, errors.NameInvalidError, "registration.dns_names"),
        ({"dns_names": ["ü.test"]}, errors.NameInvalidError, "registration.dns_names"),
        ({"ip_addresses": ["192.0.2.0/24"]}, errors.NameInvalidError, "registration.ip_addresses"),
        ({"ip_addresses": ["fe80::1%eth0"]}, errors.NameInvalidError, "registration.ip_addresses"),
        ({"ip_addresses": ["::ffff:192.0.2.1"]}, errors.NameInvalidError, "registration.ip_addresses"),
        ({"profiles": ["a\0b"]}, errors.FieldInvalidError, "registration.profiles[0]"),
        ({"roles": [1, 9]}, errors.FieldInvalidError, "registration.roles[1]"),
        ({"roles": [0]}, errors.FieldInvalidError, "registration.roles[0]"),
        ({"profiles": ["p"] * 257}, errors.FieldInvalidError, "registration.profiles"),
        ({"dns_names": ["x" * 3000]}, errors.FieldInvalidError, "registration.dns_names[0]"),
    ],
    ids=range(10),
)
def test_a_grant_that_is_none_is_refused_with_its_field(
    running: Running, granted: dict[str, Any], error: type[errors.CertmintError], field: str
) -> None:
    stored = running.register()
    for call, identity in (
        (running.operator.create_registration, fresh_identity()),
        (running.operator.update_registration, stored.identity),
    ):
        with pytest.raises(error) as caught:
            call(Registration(identity=identity, version=1, **granted))
        assert list(caught.value.fields) == [field]


def test_a_registration_grants_at_most_a_hundred_names(running: Running) -> None:
    names = [f"n{number}.reg.test" for number in range(101)]
    assert len(running.register(dns_names=names[:100]).dns_names) == 100
    with pytest.raises(errors.FieldInvalidError):
        running.register(dns_names=names)


@pytest.mark.parametrize("page_size", [1, 3, 1000])
def test_registrations_are_listed_by_identity_in_pages_of_any_size(running: Running, page_size: int) -> None:
    made = sorted(running.register().identity for _ in range(3))
    listed = [registration.identity for registration in running.operator.iterate_registrations(page_size=page_size)]
    assert listed == sorted(listed)
    assert len(listed) == len(set(listed))
    assert set(made) < set(listed)


def test_a_page_token_that_the_list_never_gave_is_refused(running: Running) -> None:
    made_up = [["a\0b"], ["\ud800"], [1], ["a", "b"], {"a": "b"}, None, "a"]
    tokens = [base64.urlsafe_b64encode(json.dumps(value).encode()).decode() for value in made_up]
    for token in (*tokens, "x", "A" * 5000):
        with pytest.raises(errors.PageTokenInvalidError) as caught:
            running.operator.list_registrations(page_token=token)
        assert list(caught.value.fields) == ["page_token"]


@pytest.mark.parametrize("identity", ["", "nobody", "a\0b", "x" * 3000])
def test_an_identity_that_is_not_registered_is_not_found_or_no_identity(running: Running, identity: str) -> None:
    expected = (
        errors.FieldInvalidError if "\0" in identity or len(identity) > 2048 else errors.RegistrationNotFoundError
    )
    with pytest.raises(expected) as caught:
        running.operator.get_registration(identity)
    assert list(caught.value.fields) == ["identity"]
    with pytest.raises(expected):
        running.operator.delete_registration(identity, version=1)


def test_get_configuration_says_what_its_caller_may_ask_for(running: Running) -> None:
    identity = running.enroll(dns_names=["conf.reg.test"], ip_addresses=["192.0.2.9"], profiles=["client", "server"])
    with running.client(identity) as client:
        answer = client.get_configuration()
    assert (answer.identity, answer.trust_domain) == (identity.spiffe_id, "demo.test")
    assert list(answer.roles) == [Role.ROLE_SERVICE]
    assert (list(answer.dns_names), list(answer.ip_addresses)) == (["conf.reg.test"], ["192.0.2.9"])
    assert [profile.name for profile in answer.profiles] == ["client", "server"]
    active, root = answer.issuers
    assert active.issuer_id == running.issuer().issuer_id
    assert (active.subject, root.subject) == ("CN=Certmint Issuing CA 1,O=Certmint", "CN=Certmint Root CA 1,O=Certmint")
    assert [issuer.crl_shard_count for issuer in answer.issuers] == [1, 1]
    assert answer.maximum_csr_bytes == 16 * 1024
    assert answer.crl_publication_bound.seconds == 5
    assert answer.server_version
