"""Reading certificates: one, or a page of those that match."""

from sqlalchemy import Connection, select

from certmint_server.errors import PageTokenInvalidError
from certmint_server.registry.certificate import CertificateRecord
from certmint_server.registry.certificates import CertificateFilter, CertificatePage, PageKey
from certmint_server.store.listing import Listing
from certmint_server.store.reader import Reader
from certmint_server.store.rows import IssuerKeys, record_of
from certmint_server.store.schema import certificate


class SQLCertificateStore:
    """`CertificateStore`."""

    def __init__(self, reader: Reader, issuer_keys: IssuerKeys) -> None:
        self._reader = reader
        self._issuer_keys = issuer_keys

    async def get_certificate(self, issuer_id: str, serial: int) -> CertificateRecord | None:
        """The certificate, if we issued it."""
        return await self._reader.run(lambda connection: self._get(connection, issuer_id, serial))

    async def list_certificates(
        self, wanted: CertificateFilter, *, after: PageKey | None, limit: int
    ) -> CertificatePage:
        """A page of those that match: see `CertificateStore.list_certificates`.

        With `dns_name_suffix` a page may be short, or even empty, before the end: a certificate that came under
        another of its names takes its place in it.

        Raises:
            PageTokenInvalidError: `after` names an issuer that there is not.
        """
        return await self._reader.run(lambda connection: self._list(connection, wanted, after, limit))

    def _get(self, connection: Connection, issuer_id: str, serial: int) -> CertificateRecord | None:
        issuer_key = self._issuer_keys.find(connection, issuer_id)
        query = select(certificate).where(certificate.c.issuer_key == issuer_key, certificate.c.serial == serial)
        row = connection.execute(query).one_or_none()
        return None if row is None else record_of(row, issuer_id)

    def _list(
        self, connection: Connection, wanted: CertificateFilter, after: PageKey | None, limit: int
    ) -> CertificatePage:
        listing = Listing.of(wanted)
        issuer_key = self._start_issuer(connection, after)
        # One row more tells whether there is a next page.
        rows = connection.execute(listing.page(after, issuer_key, limit + 1)).all()
        found = [(record_of(row, self._issuer_keys.issuer_id(connection, row.issuer_key)), row) for row in rows[:limit]]
        next_key = listing.key_of(*found[-1]) if len(rows) > limit else None
        return CertificatePage([record for record, row in found if listing.comes_here(record, row)], next_key)

    def _start_issuer(self, connection: Connection, after: PageKey | None) -> int:
        if after is None:
            return 0
        issuer_key = self._issuer_keys.find(connection, after.issuer_id)
        if issuer_key is None:
            raise PageTokenInvalidError("Begin anew, with an empty page token.", field="page_token")
        return issuer_key
