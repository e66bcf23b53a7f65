"""Whether an issuer is still trusted: its root's CRL says."""

from collections.abc import Collection

from cryptography import x509

from certmint_server.errors import CRLNotFoundError, IssuerNotActiveError
from certmint_server.issuers.issuer import Issuer
from certmint_server.registry.freshness import FreshCache
from certmint_server.revocation.crl import ROOT_SHARD, read_entries
from certmint_server.revocation.crls import CRLs


class IssuerStatus:
    """What the CRLs of the roots say, not older than `bound` seconds. It implements `IssuerTrust`."""

    def __init__(self, crls: CRLs, *, bound: float) -> None:
        self._crls = crls
        self._fresh = FreshCache(self._revoked_serials, bound=bound)

    async def verify(self, issuer: Issuer) -> None:
        """Lets pass an issuer that its root did not revoke.

        Raises:
            IssuerNotActiveError: it did.
        """
        if issuer.is_root:
            return
        if issuer.certificate.serial_number in await self._fresh.get(issuer.parent_id):
            raise IssuerNotActiveError("The issuer is revoked. Ask an operator for one that is not.")

    async def _revoked_serials(self, root_id: str) -> Collection[int]:
        try:
            crl = await self._crls.current(root_id, ROOT_SHARD)
        except CRLNotFoundError:
            return ()
        return frozenset(entry.serial for entry in read_entries(x509.load_der_x509_crl(crl.crl_der)))
