"""Looking up what was issued."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from certmint_server.registry.certificate import CertificateRecord, CertificateStatus


@dataclass(frozen=True, slots=True)
class CertificateFilter:
    """What to look for; None leaves a field open. `now` is the time that `status` is judged by."""

    now: datetime
    identity: str | None = None
    dns_name: str | None = None
    dns_name_suffix: str | None = None
    status: CertificateStatus | None = None
    profile: str | None = None
    not_after_from: datetime | None = None
    not_after_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class PageKey:
    """Where a page ended. `name_reversed` is set only when a DNS name suffix is looked for."""

    name_reversed: str
    not_after: datetime
    issuer_id: str
    serial: int


@dataclass(frozen=True, slots=True)
class CertificatePage:
    """Some certificates, and where to go on; None at the end."""

    certificates: Sequence[CertificateRecord]
    next_key: PageKey | None


class CertificateStore(Protocol):
    """Where issued certificates are read."""

    async def get_certificate(self, issuer_id: str, serial: int) -> CertificateRecord | None:
        """The certificate, if we issued it."""
        ...

    async def list_certificates(
        self, wanted: CertificateFilter, *, after: PageKey | None, limit: int
    ) -> CertificatePage:
        """The next `limit` certificates that match, by (not_after, issuer, serial).

        With `dns_name_suffix`, by reversed name first; a certificate with several such names comes once.
        """
        ...
