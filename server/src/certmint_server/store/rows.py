"""Between values of the domain and rows of the tables."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from certmint_server.errors import IssuerNotFoundError
from certmint_server.issuance.log import Issuance
from certmint_server.registry.certificate import (
    SERIAL_BYTES,
    CertificateRecord,
    Revocation,
    RevocationReason,
    ip_bytes,
    serial_hex,
)
from certmint_server.store.schema import NameKind, issuer


class IssuerKeys:
    """The small numbers that stand for issuers in rows. Issuers are added, never removed, so both ways can be kept."""

    def __init__(self) -> None:
        self._keys: dict[str, int] = {}
        self._ids: dict[int, str] = {}

    def find(self, connection: Connection, issuer_id: str) -> int | None:
        """The key of an issuer, if there is one."""
        if issuer_id not in self._keys:
            self._load(connection)
        return self._keys.get(issuer_id)

    def get(self, connection: Connection, issuer_id: str) -> int:
        """The key of an issuer.

        Raises:
            IssuerNotFoundError: there is none.
        """
        key = self.find(connection, issuer_id)
        if key is None:
            raise IssuerNotFoundError("There is no issuer with this id.", field="issuer_id")
        return key

    def issuer_id(self, connection: Connection, key: int) -> str:
        """The issuer that a key of some row stands for."""
        if key not in self._ids:
            self._load(connection)
        return self._ids[key]

    def _load(self, connection: Connection) -> None:
        for key, issuer_id in connection.execute(select(issuer.c.issuer_key, issuer.c.issuer_id)):
            self._keys[issuer_id] = key
            self._ids[key] = issuer_id


class CertificateRow(NamedTuple):
    """A new row of `certificate`, in the order of its columns and as the drivers take it."""

    issuer_key: int
    serial: bytes
    identity: str
    profile: str
    profile_version: int
    not_before: int
    not_after: int
    spki_sha256: bytes
    crl_shard: int
    requested_by: str
    labels: str | None
    certificate_der: bytes


class RequestRow(NamedTuple):
    """What of a new row of `issuance_request` the certificate does not say."""

    request_id: bytes
    requester: str
    request_sha256: bytes


class Entry(NamedTuple):
    """All that is written for one certificate. `subject` is what its event is about."""

    certificate: CertificateRow
    request: RequestRow | None
    names: Sequence[tuple[int, str]]
    subject: str


def entry_of(issuance: Issuance, issuer_key: int) -> Entry:
    """The rows of an issuance."""
    record = issuance.certificate
    request = issuance.request
    return Entry(
        CertificateRow(
            issuer_key=issuer_key,
            serial=record.serial.to_bytes(SERIAL_BYTES, "big"),
            identity=record.identity,
            profile=record.profile,
            profile_version=record.profile_version,
            not_before=int(record.not_before.timestamp()),
            not_after=int(record.not_after.timestamp()),
            spki_sha256=record.spki_sha256,
            crl_shard=record.crl_shard,
            requested_by=record.requested_by,
            labels=json.dumps(dict(record.labels)) if record.labels else None,
            certificate_der=record.certificate_der,
        ),
        RequestRow(request.request_id.bytes, request.requester, request.request_sha256) if request else None,
        _names(record),
        certificate_subject(record.issuer_id, record.serial),
    )


def record_of(row: Row[Any], issuer_id: str) -> CertificateRecord:
    """The certificate of a row that has the columns of `certificate`."""
    return CertificateRecord(
        issuer_id=issuer_id,
        serial=row.serial,
        identity=row.identity,
        profile=row.profile,
        profile_version=row.profile_version,
        not_before=row.not_before,
        not_after=row.not_after,
        spki_sha256=row.spki_sha256,
        crl_shard=row.crl_shard,
        requested_by=row.requested_by,
        certificate_der=row.certificate_der,
        labels=row.labels or {},
        revocation=_revocation(row.revoked_at, row),
    )


def certificate_subject(issuer_id: str, serial: int) -> str:
    """How an event names a certificate."""
    return f"{issuer_id}/{serial_hex(serial)}"


def reverse_dns_name(text: str) -> str:
    """The labels of a DNS name, last first: names below one another then lie side by side."""
    return ".".join(reversed(text.split(".")))


def _names(record: CertificateRecord) -> Sequence[tuple[int, str]]:
    names = [(int(NameKind.IDENTITY), record.identity)]
    names += [(int(NameKind.DNS), reverse_dns_name(text)) for text in record.dns_names]
    names += [(int(NameKind.IP), ip_bytes(text).hex()) for text in record.ip_addresses]
    return list(dict.fromkeys(names))


def _revocation(revoked_at: datetime | None, row: Row[Any]) -> Revocation | None:
    if revoked_at is None:
        return None
    return Revocation(RevocationReason(row.revocation_reason), revoked_at, row.revocation_crl_number)
