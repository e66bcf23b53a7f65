import asyncio
import dataclasses
from collections.abc import Sequence
from datetime import timedelta

from tests.conformance.audit_trail import events
from tests.conformance.conftest import OPERATOR
from tests.conformance.leaves import NOW, issuance

from certmint_server.registry.certificate import CertificateRecord, Revocation, RevocationReason, serial_hex
from certmint_server.revocation.crls import Claim
from certmint_server.revocation.service import RevocationOrder
from certmint_server.store.store import Store

REVOKED = NOW + timedelta(hours=1)


async def recorded(store: Store, issuer_id: str, count: int = 1) -> Sequence[CertificateRecord]:
    issued = [issuance(issuer_id) for _ in range(count)]
    await asyncio.gather(*map(store.certificate_log.record, issued))
    return [each.certificate for each in issued]


def order(
    certificate: CertificateRecord,
    reason: RevocationReason = RevocationReason.SUPERSEDED,
    *,
    after: timedelta = timedelta(0),
    block_key: bool = False,
) -> RevocationOrder:
    return RevocationOrder(
        issuer_id=certificate.issuer_id,
        serial=certificate.serial,
        reason=reason,
        revoked_at=REVOKED + after,
        block_key=block_key,
        actor=OPERATOR,
    )


async def test_a_revocation_is_stored_and_promised_the_next_crl(store: Store, issuer_id: str) -> None:
    (certificate,) = await recorded(store, issuer_id)
    revoked = await store.revocation_log.revoke(order(certificate))
    assert revoked
    assert revoked.certificate == dataclasses.replace(
        certificate, revocation=Revocation(RevocationReason.SUPERSEDED, REVOKED, crl_number=1)
    )
    assert not revoked.key_blocked
    assert await store.certificates.get_certificate(issuer_id, certificate.serial) == revoked.certificate
    shard = await store.crls.get_shard(issuer_id, 1)
    assert shard
    assert (shard.claimed_number, shard.carried_number, shard.published_number) == (0, 1, 0)


async def test_what_was_not_issued_is_not_revoked(store: Store, root: object, issuer_id: str) -> None:
    (certificate,) = await recorded(store, issuer_id)
    for unknown in (
        dataclasses.replace(certificate, serial=certificate.serial + 1),
        dataclasses.replace(certificate, issuer_id="0" * 16),
    ):
        assert await store.revocation_log.revoke(order(unknown)) is None


async def test_repeating_a_revocation_changes_nothing(store: Store, database_url: str, issuer_id: str) -> None:
    (certificate,) = await recorded(store, issuer_id)
    first = await store.revocation_log.revoke(order(certificate))
    before = events(database_url)
    again = order(certificate, RevocationReason.CESSATION_OF_OPERATION, after=timedelta(hours=1))
    assert await store.revocation_log.revoke(again) == first
    assert events(database_url) == before


async def test_an_upgrade_to_key_compromise_keeps_the_date(store: Store, issuer_id: str) -> None:
    (certificate,) = await recorded(store, issuer_id)
    await store.revocation_log.revoke(order(certificate))
    claim = await claimed(store, issuer_id)
    assert claim
    upgraded = await store.revocation_log.revoke(
        order(certificate, RevocationReason.KEY_COMPROMISE, after=timedelta(hours=1))
    )
    assert upgraded
    assert upgraded.certificate.revocation == Revocation(
        RevocationReason.KEY_COMPROMISE, REVOKED, crl_number=claim.crl_number + 1
    )


async def test_key_compromise_is_never_changed_back(store: Store, issuer_id: str) -> None:
    (certificate,) = await recorded(store, issuer_id)
    first = await store.revocation_log.revoke(order(certificate, RevocationReason.KEY_COMPROMISE))
    assert await store.revocation_log.revoke(order(certificate, RevocationReason.UNSPECIFIED)) == first


async def test_a_key_is_blocked_only_when_told_to(store: Store, issuer_id: str) -> None:
    (certificate,) = await recorded(store, issuer_id)
    await store.revocation_log.revoke(order(certificate, RevocationReason.KEY_COMPROMISE))
    assert await store.blocked_keys.blocked_keys_since(NOW) == []
    later = order(certificate, RevocationReason.KEY_COMPROMISE, after=timedelta(hours=1), block_key=True)
    revoked = await store.revocation_log.revoke(later)
    assert revoked
    assert revoked.key_blocked
    assert await store.blocked_keys.blocked_keys_since(NOW) == [(certificate.spki_sha256, later.revoked_at)]


async def test_whether_the_key_is_blocked_is_told_of_every_certificate_with_it(store: Store, issuer_id: str) -> None:
    first, second = (issuance(issuer_id, spki_sha256=bytes(32)) for _ in range(2))
    for issued in (first, second):
        await store.certificate_log.record(issued)
    await store.revocation_log.revoke(order(first.certificate, RevocationReason.KEY_COMPROMISE, block_key=True))
    revoked = await store.revocation_log.revoke(order(second.certificate))
    assert revoked
    assert revoked.key_blocked


async def test_blocked_keys_are_read_from_a_moment_on(store: Store, issuer_id: str) -> None:
    certificates = await recorded(store, issuer_id, 3)
    for hours, certificate in enumerate(certificates):
        await store.revocation_log.revoke(order(certificate, after=timedelta(hours=hours), block_key=True))
    since = await store.blocked_keys.blocked_keys_since(REVOKED + timedelta(hours=1))
    assert sorted(since) == sorted(
        (certificate.spki_sha256, REVOKED + timedelta(hours=hours))
        for hours, certificate in enumerate(certificates)
        if hours >= 1
    )


async def test_revocations_are_audited(store: Store, database_url: str, issuer_id: str) -> None:
    (certificate,) = await recorded(store, issuer_id)
    before = len(events(database_url))
    await store.revocation_log.revoke(order(certificate))
    await store.revocation_log.revoke(order(certificate, RevocationReason.KEY_COMPROMISE, block_key=True))
    subject = f"{issuer_id}/{serial_hex(certificate.serial)}"
    assert events(database_url)[before:] == [
        ("CERTIFICATE_REVOKED", OPERATOR, subject, REVOKED, {"reason": "SUPERSEDED"}),
        ("REVOCATION_UPGRADED", OPERATOR, subject, REVOKED, {"reason": "KEY_COMPROMISE", "key": "blocked"}),
    ]


async def test_one_certificate_revoked_by_many_at_once_is_revoked_once(
    store: Store, second_store: Store, database_url: str, issuer_id: str
) -> None:
    (certificate,) = await recorded(store, issuer_id)
    orders = [order(certificate, after=timedelta(seconds=second)) for second in range(10)]
    outcomes = await asyncio.gather(
        *(opened.revocation_log.revoke(each) for each in orders for opened in (store, second_store))
    )
    assert len({outcome.certificate.revocation for outcome in outcomes if outcome}) == 1
    assert [action for action, *_ in events(database_url)].count("CERTIFICATE_REVOKED") == 1


async def test_every_crl_carries_what_was_promised_its_number(
    store: Store, second_store: Store, issuer_id: str
) -> None:
    certificates = await recorded(store, issuer_id, 120)
    claims: list[Claim] = []

    async def revoke(opened: Store, mine: Sequence[CertificateRecord]) -> None:
        for certificate in mine:
            await opened.revocation_log.revoke(order(certificate))

    async def claim_often(opened: Store) -> None:
        for _ in range(30):
            claim = await claimed(opened, issuer_id)
            if claim:
                claims.append(claim)

    await asyncio.gather(
        revoke(store, certificates[::2]),
        revoke(second_store, certificates[1::2]),
        claim_often(store),
        claim_often(second_store),
    )
    last = await claimed(store, issuer_id)
    assert last
    promised = await promised_numbers(store, certificates)
    for claim in [*claims, last]:
        due = {serial for serial, number in promised.items() if number <= claim.crl_number}
        assert due <= {entry.serial for entry in claim.entries}
    assert {entry.serial for entry in last.entries} == {certificate.serial for certificate in certificates}


async def promised_numbers(store: Store, certificates: Sequence[CertificateRecord]) -> dict[int, int]:
    """The CRL number that each revocation was promised, by serial."""
    stored = [await store.certificates.get_certificate(c.issuer_id, c.serial) for c in certificates]
    return {c.serial: c.revocation.crl_number for c in stored if c and c.revocation}


async def claimed(store: Store, issuer_id: str) -> Claim | None:
    """Claims with a lease that is over at once."""
    state = await store.crls.get_shard(issuer_id, 1)
    assert state
    return await store.crls.claim_crl(state, now=NOW, lease_until=NOW - timedelta(seconds=1), carry_from=NOW)
