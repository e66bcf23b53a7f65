from collections.abc import AsyncIterator
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime

import httpx
import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID
from tests.unit.server.authority import ISSUING, NOW, ROOT, URL
from tests.unit.server.database import Database
from tests.unit.server.http.serving import serving

from certmint_server.revocation.crl import build_crl
from certmint_server.revocation.crls import Claim, PublishedCRL

ISSUER_ID = ISSUING.issuer.issuer_id
CRL = f"/crl/{ISSUER_ID}/1.crl"
CERTIFICATE = f"/aia/{ISSUER_ID}.cer"
BUNDLE = "/bundle.pem"
NOT_THERE = (
    "/",
    "/crl",
    "/crl/",
    f"/crl/{ISSUER_ID}",
    f"/crl/{ISSUER_ID}/",
    f"/crl/{ISSUER_ID}/0.crl",
    f"/crl/{ISSUER_ID}/2.crl",
    f"/crl/{ISSUER_ID}/01.crl",
    f"/crl/{ISSUER_ID}/-1.crl",
    f"/crl/{ISSUER_ID}/%31%00.crl",
    f"/crl/{ISSUER_ID}/1.crl/",
    f"/crl/{ISSUER_ID}/{'9' * 3000}.crl",
    f"/crl/{ISSUER_ID}/\u0661.crl",
    f"/crl/{ISSUER_ID.upper()}x/1.crl",
    "/crl/0123456789abcdef/1.crl",
    "/crl/%2e%2e/1.crl",
    f"/aia/{ISSUER_ID}.crl",
    f"/aia/{ISSUER_ID}.cer.cer",
    "/aia/..%2f..%2fetc%2fpasswd.cer",
    "/bundle.pem/",
    "/docs",
    "/metrics",
    "/favicon.ico",
)


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(database) as (host, port), httpx.AsyncClient(base_url=f"http://{host}:{port}") as client:
        yield client


async def publish(database: Database, number: int = 7, *, lifetime: timedelta = timedelta(days=1)) -> PublishedCRL:
    now = database.clock.now()
    crl = build_crl(ISSUING.issuer, ISSUING.signer, 1, Claim(number, now, []), now + lifetime)
    assert await database.crls.publish_crl(crl)
    return crl


async def test_the_current_crl_is_served_as_der(client: httpx.AsyncClient, database: Database) -> None:
    crl = await publish(database)
    answer = await client.get(CRL)
    assert answer.status_code == 200
    assert answer.content == crl.crl_der
    assert answer.headers["content-type"] == "application/pkix-crl"
    assert answer.headers["etag"] == f'"{crl.sha256.hex()}"'
    assert parsedate_to_datetime(answer.headers["last-modified"]) == NOW


async def test_a_newer_crl_is_served_as_soon_as_it_is_published(client: httpx.AsyncClient, database: Database) -> None:
    await publish(database, 7)
    await client.get(CRL)
    database.clock.advance(seconds=1)
    newer = await publish(database, 8)
    assert (await client.get(CRL)).content == newer.crl_der


async def test_a_certificate_is_served_as_der_where_the_aia_of_what_it_signed_says(
    client: httpx.AsyncClient,
) -> None:
    found = ISSUING.issuer.certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    (access,) = [item for item in found if item.access_method == AuthorityInformationAccessOID.CA_ISSUERS]
    answer = await client.get(access.access_location.value.removeprefix(URL))
    assert answer.headers["content-type"] == "application/pkix-cert"
    assert answer.content == ROOT.issuer.certificate_der


async def test_a_crl_is_served_where_the_distribution_point_of_a_certificate_says(
    client: httpx.AsyncClient, database: Database
) -> None:
    crl = build_crl(ROOT.issuer, ROOT.signer, 1, Claim(7, NOW, []), NOW + timedelta(days=90))
    assert await database.crls.publish_crl(crl)
    (point,) = ISSUING.issuer.certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert point.full_name
    answer = await client.get(point.full_name[0].value.removeprefix(URL))
    assert answer.content == crl.crl_der


async def test_the_bundle_holds_the_roots_and_nothing_else(client: httpx.AsyncClient) -> None:
    answer = await client.get(BUNDLE)
    assert answer.headers["content-type"] == "application/pem-certificate-chain"
    (root,) = x509.load_pem_x509_certificates(answer.content)
    assert root == ROOT.issuer.certificate


@pytest.mark.parametrize("path", [CRL, CERTIFICATE, BUNDLE], ids=["crl", "certificate", "bundle"])
async def test_head_says_what_get_says_without_the_body(
    client: httpx.AsyncClient, database: Database, path: str
) -> None:
    await publish(database)
    get, head = await client.get(path), await client.head(path)
    assert head.status_code == 200
    assert head.content == b""
    for name in ("content-type", "content-length", "etag", "last-modified", "cache-control"):
        assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize("path", [CRL, CERTIFICATE, BUNDLE], ids=["crl", "certificate", "bundle"])
async def test_what_the_client_has_is_not_sent_again(client: httpx.AsyncClient, database: Database, path: str) -> None:
    await publish(database)
    first = await client.get(path)
    tag = first.headers["etag"]
    for condition in (
        {"if-none-match": tag},
        {"if-none-match": f'"other", W/{tag}'},
        {"if-none-match": "*"},
        {"if-modified-since": first.headers["last-modified"]},
        {"if-modified-since": format_datetime(NOW + timedelta(days=1), usegmt=True)},
        {"if-none-match": tag, "if-modified-since": "Thu, 01 Jan 1970 00:00:00 GMT"},
    ):
        answer = await client.get(path, headers=condition)
        assert (answer.status_code, answer.content) == (304, b""), condition
        assert "content-type" not in answer.headers
        for name in ("etag", "last-modified", "cache-control", "expires"):
            assert answer.headers[name] == first.headers[name]


@pytest.mark.parametrize(
    "condition",
    [
        {"if-none-match": '"other"'},
        {"if-none-match": "not a tag"},
        {"if-none-match": '"other"', "if-modified-since": format_datetime(NOW + timedelta(days=1), usegmt=True)},
        {"if-modified-since": format_datetime(NOW - timedelta(seconds=1), usegmt=True)},
        {"if-modified-since": "yesterday"},
        {"if-modified-since": ""},
        {"if-modified-since": "Fri, 01 Jan 9999 00:00:00"},
        {"if-modified-since": "Fri, 99 Jan 2030 99:00:00 GMT"},
        {"if-modified-since": f"Fri, 01 Jan {'9' * 30} 00:00:00 GMT"},
        {"if-modified-since": f"Fri, 01 Jan {'9' * 5000} 00:00:00 GMT"},
        {"if-modified-since": f"Fri, 01 Jan 2030 {'9' * 30}:00:00 GMT"},
        {"if-modified-since": "Fri, 01 Jan 2030 99.00 GMT"},
        {"if-modified-since": "Fri, 01 Jan 2030 00:00:00 +99999999"},
        {"if-modified-since": f"Fri, 01 Jan 2030 00:00:00 +{'9' * 30}"},
        {"if-modified-since": "Fri, 01 Jan 2030 00:00:00 -9999"},
    ],
)
async def test_what_the_client_does_not_have_is_sent(
    client: httpx.AsyncClient, database: Database, condition: dict[str, str]
) -> None:
    crl = await publish(database)
    answer = await client.get(CRL, headers=condition)
    assert (answer.status_code, answer.content) == (200, crl.crl_der)


async def test_a_cache_may_keep_a_crl_for_seconds_only(client: httpx.AsyncClient, database: Database) -> None:
    await publish(database)
    headers = (await client.get(CRL)).headers
    assert headers["cache-control"] == "public, max-age=5, must-revalidate"
    assert parsedate_to_datetime(headers["expires"]) == NOW + timedelta(seconds=5)


async def test_a_cache_may_not_keep_a_crl_past_its_end(client: httpx.AsyncClient, database: Database) -> None:
    await publish(database, lifetime=timedelta(seconds=3))
    assert "max-age=3," in (await client.get(CRL)).headers["cache-control"]
    database.clock.advance(hours=1)
    expired = await client.get(CRL)
    assert expired.status_code == 200
    assert "max-age=0," in expired.headers["cache-control"]


async def test_a_crl_that_is_not_published_yet_is_not_found_and_that_is_not_kept(client: httpx.AsyncClient) -> None:
    answer = await client.get(CRL)
    assert (answer.status_code, answer.text) == (404, "Not Found.\n")
    assert answer.headers["cache-control"] == "no-store"


async def test_nothing_else_is_served(client: httpx.AsyncClient, database: Database) -> None:
    await publish(database)
    for path in NOT_THERE:
        answer = await client.get(path)
        assert (answer.status_code, answer.text) == (404, "Not Found.\n"), path


async def test_nothing_but_reading_is_allowed(client: httpx.AsyncClient) -> None:
    for path in (CRL, CERTIFICATE, BUNDLE):
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"):
            answer = await client.request(method, path)
            assert (answer.status_code, answer.text) == (405, "Method Not Allowed.\n")
            assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


async def test_the_server_does_not_say_what_it_is(client: httpx.AsyncClient) -> None:
    for path in (BUNDLE, "/nothing"):
        headers = (await client.get(path)).headers
        assert "server" not in headers
        assert "x-powered-by" not in headers


async def test_a_registry_that_is_away_is_said_without_its_cause(client: httpx.AsyncClient, database: Database) -> None:
    database.lose()
    answer = await client.get(CRL)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.text == "The registry cannot be reached. Try again.\n"
