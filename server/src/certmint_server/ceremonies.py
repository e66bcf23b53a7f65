"""What a ceremony with the root's key does to a running authority."""

from collections.abc import Sequence
from datetime import timedelta

from cryptography import x509

from certmint_server.audit import Action, Event
from certmint_server.clock import whole_seconds
from certmint_server.errors import ConfigError, CRLNotFoundError
from certmint_server.host import host_identity
from certmint_server.issuers.issuer import Issuer
from certmint_server.registry.certificate import RevocationReason
from certmint_server.revocation.crl import ROOT_SHARD, build_crl, read_entries
from certmint_server.revocation.crls import Claim, CRLEntry, PublishedCRL
from certmint_server.signers.signer import Signer
from certmint_server.wiring import Services

SHORTEST_ROOT_CRL_LIFETIME = timedelta(hours=1)
LARGEST_CRL_NUMBER = (1 << 63) - 1


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

    Its next update is never past the root's own end.

    Raises:
        ConfigError: the lifetime is below an hour, the root is expired, or a CRL with a larger number was published
            meanwhile.
    """
    root = services.issuers.roots()[0]
    if lifetime < SHORTEST_ROOT_CRL_LIFETIME:
        raise ConfigError("The root's CRL lasts at least an hour: each new one takes a ceremony.")
    now = whole_seconds(services.clock.now())
    if now >= root.not_after:
        raise ConfigError("The root is expired: nothing that it signs is valid.")
    number = max(await _last_number(services, root) + 1, int(now.timestamp() * 1000))
    crl = build_crl(root, signer, ROOT_SHARD, Claim(number, now, entries), now + min(lifetime, root.not_after - now))
    return await publish_root_crl(services, crl)


async def import_root_crl(services: Services, crl: PublishedCRL) -> PublishedCRL:
    """Publishes a CRL of the root that was signed elsewhere.

    Raises:
        ConfigError: it is dated ahead, its number is beyond what the registry keeps, or it forgets a revocation.
    """
    root = services.issuers.roots()[0]
    if crl.this_update > services.clock.now():
        raise ConfigError("This CRL is dated ahead: no other could follow until then. Sign it with the right time.")
    if crl.crl_number > LARGEST_CRL_NUMBER:
        raise ConfigError("The number of this CRL is larger than the registry keeps: use milliseconds since 1970.")
    kept = {entry.serial for entry in read_entries(x509.load_der_x509_crl(crl.crl_der))}
    forgotten = [entry.serial for entry in await _last_entries(services, root) if entry.serial not in kept]
    if forgotten:
        raise ConfigError(f"This CRL lacks {forgotten[0]:x}, which the last one revoked. A revocation is final.")
    return await publish_root_crl(services, crl)


async def publish_root_crl(services: Services, crl: PublishedCRL) -> PublishedCRL:
    """Makes a CRL of the root the current one.

    Raises:
        ConfigError: one with a larger number, or a later this_update, is published.
    """
    event = Event(
        Action.CRL_IMPORTED,
        actor=host_identity(services.issuers.authority),
        subject=crl.issuer_id,
        occurred_at=whole_seconds(services.clock.now()),
        detail={"crl_number": str(crl.crl_number), "entries": str(crl.entry_count)},
    )
    if not await services.store.crls.publish_crl(crl, event=event):
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
