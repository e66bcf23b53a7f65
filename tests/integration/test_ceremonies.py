import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.conformance.audit_trail import events
from tests.integration.authority import TRUST_DOMAIN, make_authority

from certmint import Identity
from certmint_server.ceremonies import import_root_crl, revoke_issuers, sign_root_crl
from certmint_server.clock import SystemClock, whole_seconds
from certmint_server.config import load_config
from certmint_server.errors import ConfigError
from certmint_server.host import issue_operator_certificate
from certmint_server.init import InitOptions, add_default_profiles, initialise, save_key_pair
from certmint_server.issuers.ceremony import KeyChoice
from certmint_server.revocation.crl import build_crl, parse_root_crl
from certmint_server.revocation.crls import Claim, CRLEntry, PublishedCRL
from certmint_server.signers.file import load_signer
from certmint_server.signers.signer import Signer
from certmint_server.wiring import Services, open_services

LIFETIME = timedelta(days=90)


class LeapingClock:
    """Twenty years pass whenever somebody looks: what the first look made is soon expired."""

    def __init__(self) -> None:
        self._now = SystemClock().now()

    def now(self) -> datetime:
        now = self._now
        self._now += timedelta(days=20 * 365)
        return now


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_authority(tmp_path_factory.mktemp("ceremonies") / "ca").data


@pytest.fixture
def data(pristine: Path, tmp_path: Path) -> Path:
    """The folder of an authority, for one test."""
    return Path(shutil.copytree(pristine, tmp_path / "ca", symlinks=True))


@pytest.fixture
async def services(data: Path) -> AsyncIterator[Services]:
    passphrase = (data / "keys" / "passphrase").read_bytes().strip()
    async with open_services(load_config(data / "certmint.toml"), SystemClock(), passphrase) as opened:
        yield opened


@pytest.fixture
def signer(services: Services, data: Path) -> Signer:
    """The root's key."""
    root = services.issuers.roots()[0]
    passphrase = (data / "root" / "passphrase").read_bytes().strip()
    return load_signer("file:root-ca.key.json", root.scheme, passphrase, data / "root", public_key=root.public_key)


def signed_elsewhere(
    services: Services,
    signer: Signer,
    entries: Sequence[CRLEntry] = (),
    *,
    number: int | None = None,
    ahead: timedelta = timedelta(),
) -> PublishedCRL:
    now = whole_seconds(services.clock.now())
    root = services.issuers.roots()[0]
    claim = Claim(number or int(services.clock.now().timestamp() * 1000), now + ahead, entries)
    return parse_root_crl(build_crl(root, signer, 1, claim, now + LIFETIME).crl_der, root)


async def test_a_crl_that_was_signed_elsewhere_is_published_and_written_down(
    services: Services, signer: Signer
) -> None:
    crl = await import_root_crl(services, signed_elsewhere(services, signer))
    assert await services.crls.current(crl.issuer_id, 1) == crl
    action, actor, subject, _, detail = events(services.config.database_url)[-1]
    assert (action, actor, subject) == ("CRL_IMPORTED", "spiffe://demo.test/certmint/server", crl.issuer_id)
    assert detail["crl_number"] == str(crl.crl_number)


async def test_a_crl_that_is_signed_here_is_written_down_too(services: Services, signer: Signer) -> None:
    crl = await sign_root_crl(services, signer, (), LIFETIME)
    action, _, subject, _, detail = events(services.config.database_url)[-1]
    assert (action, subject, detail["crl_number"]) == ("CRL_IMPORTED", crl.issuer_id, str(crl.crl_number))


async def test_a_crl_that_would_keep_every_later_one_out_is_not_imported(services: Services, signer: Signer) -> None:
    root_id = services.issuers.roots()[0].issuer_id
    before = await services.crls.current(root_id, 1)
    with pytest.raises(ConfigError, match="dated ahead"):
        await import_root_crl(services, signed_elsewhere(services, signer, ahead=timedelta(minutes=5)))
    with pytest.raises(ConfigError, match="number of this CRL"):
        await import_root_crl(services, signed_elsewhere(services, signer, number=1 << 63))
    assert await services.crls.current(root_id, 1) == before
    await import_root_crl(services, signed_elsewhere(services, signer, number=(1 << 63) - 1))


async def test_a_crl_that_forgets_a_revocation_is_not_imported(services: Services, signer: Signer) -> None:
    issuing = services.issuers.active()
    entries = await revoke_issuers(services, [issuing.issuer_id])
    await sign_root_crl(services, signer, entries, LIFETIME)
    with pytest.raises(ConfigError, match=f"lacks {issuing.certificate.serial_number:x}"):
        await import_root_crl(services, signed_elsewhere(services, signer))
    await import_root_crl(services, signed_elsewhere(services, signer, entries))


async def test_a_crl_of_the_root_lasts_an_hour_or_more_and_not_longer_than_the_root(
    services: Services, signer: Signer
) -> None:
    with pytest.raises(ConfigError, match="at least an hour"):
        await sign_root_crl(services, signer, (), timedelta(minutes=59))
    crl = await sign_root_crl(services, signer, (), timedelta.max)
    assert crl.next_update == services.issuers.roots()[0].not_after


async def test_an_init_that_breaks_off_after_the_commit_keeps_the_keys_and_can_be_finished(tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    with pytest.raises(ConfigError, match=f"certmint-server operator issue --config {folder}"):
        await asyncio.to_thread(initialise, options(folder), LeapingClock())
    assert not (folder / "operator").exists()
    passphrase = (folder / "keys" / "passphrase").read_bytes().strip()
    async with open_services(load_config(folder / "certmint.toml"), SystemClock(), passphrase) as services:
        await add_default_profiles(services)
        save_key_pair(folder / "operator", await issue_operator_certificate(services, "admin"), services)
    assert Identity.load(folder / "operator").spiffe_id == "spiffe://demo.test/certmint/operator/admin"


def options(folder: Path) -> InitOptions:
    return InitOptions(
        folder=folder,
        trust_domain=TRUST_DOMAIN,
        name="Demo",
        database_url="sqlite:///certmint.db",
        grpc_listen="127.0.0.1:8443",
        http_listen="127.0.0.1:8080",
        names=("localhost",),
        distribution_url="http://127.0.0.1:8080",
        root_key=KeyChoice(),
        issuing_key=KeyChoice(),
        root_passphrase=None,
        passphrase=None,
        passphrase_file=None,
    )
