"""Every statement of the store finds its rows by an index, with some thousands of rows and fresh statistics.

The planner is left as it is: PostgreSQL may choose to read a whole table, and must not want to. What is looked at is
what the store really sends, with the values it sends.
"""

import asyncio
import dataclasses
import json
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event
from tests.conformance.conftest import AUTHORITY, OPERATOR, ManualClock
from tests.conformance.leaves import NOW, issuance, request_key
from tests.conformance.test_certificate_store import filters
from tests.conformance.test_crl_store import crl
from tests.conformance.test_profile_store import profile
from tests.conformance.test_registration_store import registration

from certmint_server.issuance.log import Issuance
from certmint_server.issuance.profile import ProfileStore
from certmint_server.issuers.issuer import Issuer, IssuerStore
from certmint_server.registry.blocked_keys import BlockedKeyStore
from certmint_server.registry.certificate import RevocationReason
from certmint_server.registry.certificates import CertificateStore, PageKey
from certmint_server.registry.registrations import RegistrationStore
from certmint_server.revocation.crls import CRLStore
from certmint_server.revocation.service import RevocationLog, RevocationOrder
from certmint_server.store.engine import sqlite_path
from certmint_server.store.store import Store

GROWING = {"certificate", "name", "issuance_request", "event"}
PROTOCOLS = (
    *(CertificateStore, RevocationLog, BlockedKeyStore, CRLStore),
    *(RegistrationStore, ProfileStore, IssuerStore),
)
Sent = dict[str, Any]


@pytest.fixture
async def issued(store: Store, database_url: str, issuer_id: str) -> Sequence[Issuance]:
    """Three thousand certificates, of which some are revoked."""
    certificates = [
        issuance(
            issuer_id,
            identity=f"spiffe://example.test/{number % 500}",
            dns_names=(f"{number % 300}.svc.test", f"{number}.example.test"),
            not_after=NOW + timedelta(minutes=number - 1500),
            profile="client" if number % 3 else "service",
            request=request_key(uuid.uuid4()),
        )
        for number in range(3000)
    ]
    await asyncio.gather(*map(store.certificate_log.record, certificates))
    await asyncio.gather(*(store.revocation_log.revoke(revocation(each)) for each in certificates[::100]))
    execute(database_url, "ANALYZE")
    return certificates


def revocation(each: Issuance) -> RevocationOrder:
    return RevocationOrder(
        issuer_id=each.certificate.issuer_id,
        serial=each.certificate.serial,
        reason=RevocationReason.KEY_COMPROMISE,
        revoked_at=NOW,
        block_key=True,
        actor=OPERATOR,
    )


async def test_every_statement_uses_an_index(store: Store, database_url: str, issued: Sequence[Issuance]) -> None:
    with captured() as sent:
        called = await call_everything(store, issued)
    assert called == {name for protocol in PROTOCOLS for name in vars(protocol) if not name.startswith("_")}
    assert len(sent) > 50
    for statement, parameters in sent.items():
        problems = full_reads(database_url, statement, parameters)
        assert problems == [], statement


async def test_no_page_of_a_list_is_sorted_on_sqlite(sqlite_url: str, clock: ManualClock, root: Issuer) -> None:
    """PostgreSQL may sort a few rows, SQLite knows nothing of their number and would sort any."""
    async with await Store.open(sqlite_url, clock=clock) as store:
        await store.issuers.initialise(AUTHORITY, [root], at=NOW, by=OPERATOR)
        with captured() as sent:
            await call_lists(store, root.issuer_id)
    plans = [explain_sqlite(sqlite_url, statement, parameters) for statement, parameters in sent.items()]
    assert len(plans) > 50
    assert [step for plan in plans for step in plan if "TEMP B-TREE" in step] == []


async def call_everything(store: Store, issued: Sequence[Issuance]) -> set[str]:
    """Calls each method of the Protocols; their names."""
    called = await call_lists(store, issued[0].certificate.issuer_id)
    called |= await call_certificates(store, issued)
    called |= await call_crls(store, issued[0].certificate.issuer_id)
    called |= await call_registry(store)
    return called


async def call_lists(store: Store, issuer_id: str) -> set[str]:
    after = PageKey("test.svc.1", NOW, issuer_id, 1)
    for wanted in filters():
        for key in (None, after):
            await store.certificates.list_certificates(wanted, after=key, limit=100)
    return {"list_certificates"}


async def call_certificates(store: Store, issued: Sequence[Issuance]) -> set[str]:
    first = issued[0].certificate
    await store.certificates.get_certificate(first.issuer_id, first.serial)
    again = dataclasses.replace(issuance(first.issuer_id), request=issued[7].request)
    assert (await store.certificate_log.record(again)).replayed
    await store.revocation_log.revoke(revocation(issued[1]))
    await store.revocation_log.revoke(revocation(issued[1]))
    await store.blocked_keys.blocked_keys_since(NOW)
    return {"get_certificate", "revoke", "blocked_keys_since"}


async def call_crls(store: Store, issuer_id: str) -> set[str]:
    await store.crls.list_shards()
    state = await store.crls.get_shard(issuer_id, 1)
    assert state
    assert await store.crls.claim_crl(state, now=NOW, lease_until=NOW, carry_from=NOW)
    assert await store.crls.publish_crl(crl(issuer_id, 1 << 60))
    assert await store.crls.current_crl(issuer_id, 1)
    return {"list_shards", "get_shard", "claim_crl", "publish_crl", "current_crl"}


async def call_registry(store: Store) -> set[str]:
    await store.registrations.create_registration(registration())
    await store.registrations.update_registration(registration(version=2))
    await store.registrations.get_registration(OPERATOR)
    await store.registrations.list_registrations(after="", limit=10)
    await store.registrations.delete_registration(registration(version=2))
    await store.profiles.add_profile(profile())
    await store.profiles.newest_profiles()
    await store.issuers.authority()
    await store.issuers.list_issuers()
    # The fixture `store` has called it, and it reads nothing.
    initialise = {"initialise"}
    registrations = {f"{verb}_registration" for verb in ("create", "update", "get", "delete")}
    return (
        registrations
        | initialise
        | {*("list_registrations", "add_profile", "newest_profiles", "authority", "list_issuers")}
    )


@contextmanager
def captured() -> Iterator[Sent]:
    """Every statement that any engine sends, with the last values it had."""
    sent: Sent = {}

    def capture(_c: object, _cursor: object, statement: str, parameters: Any, _x: object, many: bool) -> None:
        if statement.split(maxsplit=1)[0] in {"SELECT", "WITH", "UPDATE", "DELETE", "INSERT"}:
            sent[statement] = parameters[0] if many else parameters

    event.listen(Engine, "before_cursor_execute", capture)
    yield sent
    event.remove(Engine, "before_cursor_execute", capture)


def full_reads(url: str, statement: str, parameters: Any) -> list[str]:
    """The steps of a statement's plan that read a growing table whole."""
    if sqlite_path(url):
        steps = explain_sqlite(url, statement, parameters)
        return [step for step in steps if step.startswith("SCAN") and step.split(maxsplit=2)[1] in GROWING]
    with psycopg.connect(url) as connection:
        row = connection.execute(f"EXPLAIN (FORMAT JSON) {statement}".encode(), parameters).fetchone()
    assert row
    nodes = plan_nodes(row[0][0]["Plan"])
    return [json.dumps(node) for node in nodes if node.get("Relation Name") in GROWING and is_full_read(node)]


def plan_nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {key: value for key, value in plan.items() if key != "Plans"}
    for child in plan.get("Plans", ()):
        yield from plan_nodes(child)


def is_full_read(node: dict[str, Any]) -> bool:
    reads = {"Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan"}
    # The partial indexes hold a few of the rows, so reading one whole is not reading the table whole.
    is_partial = node.get("Index Name", "").startswith("ix_certificate_revoked")
    return node["Node Type"] in reads and not is_partial and not {"Index Cond", "Recheck Cond"} & node.keys()


def explain_sqlite(url: str, statement: str, parameters: Any) -> list[str]:
    path = sqlite_path(url)
    assert path
    with closing(sqlite3.connect(path)) as connection:
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]


def execute(url: str, statement: str) -> None:
    path = sqlite_path(url)
    if path:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(statement)
    else:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement.encode())
