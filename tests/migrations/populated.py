"""A row in every table, as the store writes them."""

import uuid

from tests.conformance.conftest import AUTHORITY, OPERATOR
from tests.conformance.leaves import NOW, issuance, request_key
from tests.conformance.test_crl_store import crl
from tests.conformance.test_profile_store import profile
from tests.conformance.test_registration_store import registration

from certmint_server.clock import SystemClock
from certmint_server.issuers.ceremony import make_root
from certmint_server.registry.certificate import RevocationReason
from certmint_server.revocation.service import RevocationOrder
from certmint_server.store.store import Store


async def populate(url: str) -> None:
    root = make_root("Test", "http://crl.example.test", NOW).issuer
    issued = issuance(root.issuer_id, request=request_key(uuid.uuid4()))
    order = RevocationOrder(
        issuer_id=root.issuer_id,
        serial=issued.certificate.serial,
        reason=RevocationReason.KEY_COMPROMISE,
        revoked_at=NOW,
        block_key=True,
        actor=OPERATOR,
    )
    async with await Store.open(url, clock=SystemClock()) as store:
        await store.issuers.initialise(AUTHORITY, [root], at=NOW, by=OPERATOR)
        await store.profiles.add_profile(profile())
        await store.registrations.create_registration(registration())
        await store.certificate_log.record(issued)
        await store.revocation_log.revoke(order)
        await store.crls.publish_crl(crl(root.issuer_id, 1))
