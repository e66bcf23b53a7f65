"""How a list of certificates goes through the database.

By the names, if the filter has an identity or a DNS name, else by expiry. A page begins after a key, so that the
hundredth costs what the first does. Each query has exactly one lower bound, the row value of that key: SQLite takes
one for its index and checks the others row by row.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from sqlalchemy import ColumnElement, FromClause, Row, Select, Table, exists, literal, select, tuple_

from certmint_server.clock import whole_seconds
from certmint_server.registry.certificate import CertificateRecord, CertificateStatus
from certmint_server.registry.certificates import CertificateFilter, PageKey
from certmint_server.store.rows import reverse_dns_name
from certmint_server.store.schema import NameKind, certificate, name

_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of certificates. `prefix` is what the reversed names begin with, if a DNS name suffix is looked for."""

    wanted: CertificateFilter
    prefix: str | None

    @classmethod
    def of(cls, wanted: CertificateFilter) -> Self:
        """The list of what is wanted."""
        suffix = wanted.dns_name_suffix
        return cls(wanted, None if suffix is None else reverse_dns_name(suffix) + ".")

    def page(self, after: PageKey | None, issuer_key: int, limit: int) -> Select[Any]:
        """The query for the `limit` rows after a key, whose issuer has the number `issuer_key`."""
        start = self._lowest()
        if after:
            key = (after.not_after, issuer_key, after.serial)
            start = max(start, key if self.prefix is None else (after.name_reversed, *key))
        order = self._order()
        bounds = [literal(value, column.type) for value, column in zip(start, order, strict=True)]
        query = select(certificate, *([name.c.value_reversed] if self._source is name else []))
        if self._source is name:
            is_named = (certificate.c.issuer_key == name.c.issuer_key) & (certificate.c.serial == name.c.serial)
            query = query.join_from(name, certificate, is_named)
        return query.where(tuple_(*order) > tuple_(*bounds), *self._conditions()).order_by(*order).limit(limit)

    def comes_here(self, record: CertificateRecord, row: Row[Any]) -> bool:
        """Whether a certificate belongs to the list at this row: one with several names does so at the least only."""
        if self.prefix is None:
            return True
        reversed_names = map(reverse_dns_name, record.dns_names)
        is_least = row.value_reversed == min(text for text in reversed_names if text.startswith(self.prefix))
        return is_least and self.wanted.dns_name in (None, *record.dns_names)

    def key_of(self, record: CertificateRecord, row: Row[Any]) -> PageKey:
        """The key of a row."""
        name_reversed = "" if self.prefix is None else row.value_reversed
        return PageKey(name_reversed, record.not_after, record.issuer_id, record.serial)

    @property
    def _source(self) -> Table:
        wanted = (self.wanted.dns_name_suffix, self.wanted.dns_name, self.wanted.identity)
        return certificate if wanted == (None, None, None) else name

    def _order(self) -> tuple[ColumnElement[Any], ...]:
        columns = self._source.c
        order = (columns.not_after, columns.issuer_key, columns.serial)
        return order if self.prefix is None else (columns.value_reversed, *order)

    def _lowest(self) -> tuple[Any, ...]:
        """What sorts just before the first row: serials and the numbers of issuers are above zero."""
        if self.prefix is None:
            return (self._not_after_from() or _EPOCH, 0, 0)
        return (self.prefix, _EPOCH, 0, 0)

    def _conditions(self) -> list[ColumnElement[bool]]:
        return [*self._name_conditions(), *self._expiry_conditions(), *self._certificate_conditions()]

    def _name_conditions(self) -> list[ColumnElement[bool]]:
        if self.prefix is not None:
            # The dot's successor ends the names that begin with the prefix.
            end = self.prefix[:-1] + chr(ord(".") + 1)
            return [name.c.kind == NameKind.DNS.value, name.c.value_reversed < end, *self._identity_conditions()]
        if self.wanted.dns_name is not None:
            value = reverse_dns_name(self.wanted.dns_name)
            return [*_is_named(name, NameKind.DNS, value), *self._identity_conditions()]
        if self.wanted.identity is not None:
            return _is_named(name, NameKind.IDENTITY, self.wanted.identity)
        return []

    def _identity_conditions(self) -> list[ColumnElement[bool]]:
        """Of a list that goes by DNS names: `certificate.identity` has no index, so another row of `name` is asked."""
        if self.wanted.identity is None:
            return []
        other = name.alias("identity_name")
        same = [other.c[column] == name.c[column] for column in ("not_after", "issuer_key", "serial")]
        return [exists().where(*_is_named(other, NameKind.IDENTITY, self.wanted.identity), *same)]

    def _expiry_conditions(self) -> list[ColumnElement[bool]]:
        not_after = self._source.c.not_after
        conditions = []
        lower = self._not_after_from()
        if self.prefix is not None and lower:
            conditions.append(not_after >= lower)
        if self.wanted.not_after_until:
            conditions.append(not_after < _ceiling(self.wanted.not_after_until))
        if self.wanted.status is CertificateStatus.EXPIRED:
            conditions.append(not_after < _ceiling(self.wanted.now))
        return conditions

    def _certificate_conditions(self) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = []
        if self.wanted.profile is not None:
            conditions.append(certificate.c.profile == self.wanted.profile)
        if self.wanted.status is not None:
            is_revoked = self.wanted.status is CertificateStatus.REVOKED
            revoked_at = certificate.c.revoked_at
            conditions.append(revoked_at.is_not(None) if is_revoked else revoked_at.is_(None))
        return conditions

    def _not_after_from(self) -> datetime | None:
        bounds = [self.wanted.not_after_from]
        if self.wanted.status is CertificateStatus.VALID:
            bounds.append(self.wanted.now)
        return max((_ceiling(bound) for bound in bounds if bound), default=None)


def _is_named(names: FromClause, kind: NameKind, value: str) -> list[ColumnElement[bool]]:
    return [names.c.kind == kind.value, names.c.value_reversed == value]


# The calendar ends there.
_LAST_SECOND = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def _ceiling(moment: datetime) -> datetime:
    """The first whole second that is not before `moment`: expiries are whole seconds."""
    whole = whole_seconds(moment)
    return whole if whole in (moment, _LAST_SECOND) else whole + timedelta(seconds=1)
