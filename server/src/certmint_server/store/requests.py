"""The requests that certificates were issued for."""

from uuid import UUID

from sqlalchemy import select

from certmint_server.store.reader import Reader
from certmint_server.store.schema import issuance_request


class SQLRequestStore:
    """`RequestStore`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def request_sha256(self, requester: str, request_id: UUID) -> bytes | None:
        """The SHA-256 of what the requester asked for with this id, if it did."""
        columns = issuance_request.c
        query = select(columns.request_sha256).where(
            columns.request_id == request_id.bytes, columns.requester == requester
        )
        found: bytes | None = await self._reader.run(lambda connection: connection.scalar(query))
        return found
