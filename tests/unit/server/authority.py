"""A two-tier CA in memory, made by the ceremony."""

from datetime import UTC, datetime

from certmint_server.issuers.ceremony import make_issuing, make_root

NOW = datetime(2030, 6, 1, 12, tzinfo=UTC)
URL = "http://pki.demo.test:8080"

ROOT = make_root("Demo", URL, NOW)
ISSUING = make_issuing("Demo", ROOT.issuer, ROOT.signer, NOW)
