"""What a ceremony with the root's key does to a running authority."""

from collections.abc import Sequence
from datetime import timedelta

from cryptography import x509

from certmint_server.clock import whole_seconds
from certmint_server.errors import ConfigError, CRLNotFoundError
from certmint_server.issuers.issuer import Issuer
from certmint_server.registry.certificate import RevocationReason
from certmint_server.revocation.crl import ROOT_SHARD, build_crl, read_entries
from certmint_server.revocation.crls import Claim, CRLEntry, PublishedCRL
from certmint_server.signers.signer import Signer
from certmint_server.wiring import Services


async def revoke_issuers(services: Services, issuer_ids: Sequence[str]) -> Sequence[CRLEntry]:
    """The entries of the root's next CRL: those of its last one, and these issuing CAs.

    Raises:
        ConfigError: an id is that of a root.
        IssuerNotFoundError: an id is that of no issuer.
    """
    root = services.issuers.roots()[0]
    entries = {entry.serial: entry for entry in await _last_entries(services, root)}
    now = whole_seconds(services.clock.now())
    for issuer_id in issuer_ids:
        issuer = services.issuers.get(issuer_id)
        if issuer.is_root:
            raise ConfigError("A root is not revoked by its own CRL: take it out of the trust bundles.")
        serial = issuer.certificate.serial_number
        entries.setdefault(serial, CRLEntry(serial, now, RevocationReason.CA_COMPROMISE))
    return tuple(entries.values())


async def sign_root_crl(
    services: Services, signer: Signer, entries: Sequence[CRLEntry], lifetime: timedelta
) -> PublishedCRL:
    """Signs the root's next CRL and publishes it.

    Raises:
        ConfigError: another CRL with a larger number was published meanwhile.
    """
    root = services.issuers.roots()[0]
    now = whole_seconds(services.clock.now())
    number = max(await _last_number(services, root) + 1, int(now.timestamp() * 1000))
    crl = build_crl(root, signer, ROOT_SHARD, Claim(number, now, entries), now + lifetime)
    return await publish_root_crl(services, crl)


async def publish_root_crl(services: Services, crl: PublishedCRL) -> PublishedCRL:
    """Makes a CRL of the root the current one.

    Raises:
        ConfigError: one with a larger number, or a later this_update, is published.
    """
    if not await services.store.crls.publish_crl(crl):
        raise ConfigError("A newer CRL of the root is published. Sign one with a larger number.")
    return crl


async def _last_number(services: Services, root: Issuer) -> int:
    try:
        return (await services.crls.current(root.issuer_id, ROOT_SHARD)).crl_number
    except CRLNotFoundError:
        return 0


async def _last_entries(services: Services, root: Issuer) -> Sequence[CRLEntry]:
    try:
        crl = await services.crls.current(root.issuer_id, ROOT_SHARD)
    except CRLNotFoundError:
        return ()
    return read_entries(x509.load_der_x509_crl(crl.crl_der))
