import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from tests.conformance.conftest import OPERATOR
from tests.conformance.leaves import NOW, issuance

from certmint_server.errors import PageTokenInvalidError
from certmint_server.issuance.log import Issuance
from certmint_server.issuers.issuer import Issuer
from certmint_server.registry.certificate import CertificateRecord, CertificateStatus, RevocationReason
from certmint_server.registry.certificates import CertificateFilter, PageKey
from certmint_server.revocation.service import RevocationOrder
from certmint_server.store.store import Store

IDENTITIES = [f"spiffe://example.test/{name}" for name in ("a", "a/b", "b")]
DNS_NAMES = [
    (),
    ("svc.test",),
    ("a.svc.test",),
    ("a.svc.test", "b.svc.test", "c.b.svc.test"),
    ("b.svc.test", "svc.test", "a.svc.test"),
    ("z.test", "svc-a.test", "svca.test"),
    ("x.svc.test.example", "c.b.svc.test"),
]
PROFILES = ["service", "client"]


@dataclass(frozen=True)
class Registry:
    """A store with a few hundred certificates, and the certificates by issuer in the order of the issuers."""

    store: Store
    issuer_ids: Sequence[str]
    certificates: Sequence[CertificateRecord]


@pytest.fixture
async def registry(store: Store, root: Issuer, issuing: Issuer) -> Registry:
    issuer_ids = [root.issuer_id, issuing.issuer_id]
    kinds = itertools.product(issuer_ids, IDENTITIES, DNS_NAMES, PROFILES, (-1, 0, 1, 2))
    issued = [
        issuance(issuer_id, identity=identity, dns_names=names, profile=profile, not_after=NOW + timedelta(hours=hours))
        for issuer_id, identity, names, profile, hours in kinds
    ]
    await asyncio.gather(*map(store.certificate_log.record, issued))
    await asyncio.gather(*(store.revocation_log.revoke(revocation(each)) for each in issued[::5]))
    found = [await store.certificates.get_certificate(c.certificate.issuer_id, c.certificate.serial) for c in issued]
    return Registry(store, issuer_ids, [certificate for certificate in found if certificate])


def revocation(issued: Issuance) -> RevocationOrder:
    return RevocationOrder(
        issuer_id=issued.certificate.issuer_id,
        serial=issued.certificate.serial,
        reason=RevocationReason.SUPERSEDED,
        revoked_at=NOW,
        block_key=False,
        actor=OPERATOR,
    )


def reversed_name(name: str) -> str:
    return ".".join(name.split(".")[::-1])


def matches(certificate: CertificateRecord, wanted: CertificateFilter) -> bool:
    """Read off the messages of `registry_service.proto`, one certificate at a time."""
    names = certificate.dns_names
    suffix = wanted.dns_name_suffix
    return (
        wanted.identity in (None, certificate.identity)
        and (wanted.dns_name is None or wanted.dns_name in names)
        and (suffix is None or any(name.endswith(f".{suffix}") for name in names))
        and (wanted.status is None or certificate.status(wanted.now) is wanted.status)
        and wanted.profile in (None, certificate.profile)
        and (wanted.not_after_from is None or certificate.not_after >= wanted.not_after_from)
        and (wanted.not_after_until is None or certificate.not_after < wanted.not_after_until)
    )


def expected(registry: Registry, wanted: CertificateFilter) -> list[CertificateRecord]:
    def order(certificate: CertificateRecord) -> tuple[str, datetime, int, int]:
        least = ""
        if wanted.dns_name_suffix is not None:
            end = f".{wanted.dns_name_suffix}"
            least = min(reversed_name(name) for name in certificate.dns_names if name.endswith(end))
        return least, certificate.not_after, registry.issuer_ids.index(certificate.issuer_id), certificate.serial

    return sorted((each for each in registry.certificates if matches(each, wanted)), key=order)


async def listed(store: Store, wanted: CertificateFilter, *, limit: int) -> list[CertificateRecord]:
    found: list[CertificateRecord] = []
    after: PageKey | None = None
    while True:
        page = await store.certificates.list_certificates(wanted, after=after, limit=limit)
        assert len(page.certificates) <= limit
        found += page.certificates
        if page.next_key is None:
            return found
        assert page.next_key != after
        after = page.next_key


def filters() -> list[CertificateFilter]:
    """Every combination of fields; the times in the middle of a second, where rounding would show."""
    half = timedelta(milliseconds=500)
    return [
        CertificateFilter(
            now=now,
            identity=identity,
            dns_name=dns_name,
            dns_name_suffix=suffix,
            status=status,
            profile=profile,
            not_after_from=not_after_from,
            not_after_until=not_after_until,
        )
        for identity, (dns_name, suffix), status, profile, (not_after_from, not_after_until, now) in itertools.product(
            (None, IDENTITIES[1]),
            ((None, None), ("a.svc.test", None), (None, "svc.test"), (None, "test"), ("b.svc.test", "svc.test")),
            (None, *CertificateStatus),
            (None, "client"),
            ((None, None, NOW), (NOW, None, NOW + half), (None, NOW + half, NOW - half), (NOW - half, NOW, NOW)),
        )
    ]


async def test_every_filter_gives_what_looking_at_each_certificate_gives(registry: Registry) -> None:
    for wanted in filters():
        assert await listed(registry.store, wanted, limit=1000) == expected(registry, wanted), wanted


@pytest.mark.parametrize("limit", [1, 7, 50])
async def test_pages_give_every_certificate_once_in_order(registry: Registry, limit: int) -> None:
    for wanted in (
        CertificateFilter(NOW),
        CertificateFilter(NOW, status=CertificateStatus.REVOKED),
        CertificateFilter(NOW, status=CertificateStatus.VALID, profile="client"),
        CertificateFilter(NOW, identity=IDENTITIES[0]),
        CertificateFilter(NOW, identity=IDENTITIES[1], not_after_from=NOW),
        CertificateFilter(NOW, dns_name="a.svc.test", identity=IDENTITIES[2]),
        CertificateFilter(NOW, dns_name_suffix="svc.test"),
        CertificateFilter(NOW, dns_name_suffix="svc.test", not_after_from=NOW, profile="service"),
    ):
        assert await listed(registry.store, wanted, limit=limit) == expected(registry, wanted), wanted


async def test_a_page_that_ends_exactly_at_the_end_is_the_last(registry: Registry) -> None:
    wanted = CertificateFilter(NOW, identity=IDENTITIES[0])
    count = len(expected(registry, wanted))
    page = await registry.store.certificates.list_certificates(wanted, after=None, limit=count)
    assert len(page.certificates) == count
    assert page.next_key is None


async def test_a_key_below_the_filter_does_not_widen_it(registry: Registry) -> None:
    below = PageKey("", NOW - timedelta(days=9), registry.issuer_ids[0], 1)
    for wanted in (
        CertificateFilter(NOW, dns_name_suffix="svc.test"),
        CertificateFilter(NOW, not_after_from=NOW + timedelta(hours=1)),
    ):
        page = await registry.store.certificates.list_certificates(wanted, after=below, limit=1000)
        assert page.certificates == expected(registry, wanted)


async def test_a_page_key_of_an_unknown_issuer_is_refused(registry: Registry) -> None:
    with pytest.raises(PageTokenInvalidError):
        await registry.store.certificates.list_certificates(
            CertificateFilter(NOW), after=PageKey("", NOW, "0" * 16, 1), limit=10
        )


async def test_no_certificate_is_found_under_another_issuer_or_serial(registry: Registry) -> None:
    certificate = registry.certificates[0]
    get = registry.store.certificates.get_certificate
    assert await get(registry.issuer_ids[1], certificate.serial) is None
    assert await get("0" * 16, certificate.serial) is None
    assert await get(certificate.issuer_id, certificate.serial + 1) is None


async def test_nothing_in_a_name_is_a_pattern(registry: Registry) -> None:
    for text in ("%", "_", "svc.tes_", "*", "", "'; --", "SVC.TEST"):
        for wanted in (
            CertificateFilter(NOW, dns_name=text),
            CertificateFilter(NOW, dns_name_suffix=text),
            CertificateFilter(NOW, identity=text),
        ):
            assert await listed(registry.store, wanted, limit=1000) == [], wanted
