"""`revoke` and `certificate`."""

import argparse
from itertools import islice
from pathlib import Path
from typing import Final

from certmint import pem
from certmint.ca.v1 import resources_pb2 as resources
from certmint.ca.v1.registry_service_pb2 import ListCertificatesResponse
from certmint.cli.arguments import (
    Commands,
    UsageError,
    add_command,
    add_group,
    moment,
    positive,
    read_certificates,
    serial,
    words,
)
from certmint.cli.output import Answer, Facts, Table
from certmint.cli.text import REVOCATION_REASONS, certificate_facts, certificate_table
from certmint.cli.text import moment as moment_text
from certmint.client import Client

_STATUSES: Final = words(resources.CertificateStatus, "CERTIFICATE_STATUS_")

_REVOKE_EXAMPLES: Final = """\
  certmint revoke --certificate chain.pem --reason superseded
  certmint revoke --serial 01977c... --reason keyCompromise
  certmint revoke --serial 01977c... --issuer 0f1e2d3c4b5a6978
"""
_CERTIFICATE_EXAMPLES: Final = """\
  certmint certificate list --status valid
  certmint certificate get 01977c... --out chain.pem
"""
_LIST_EXAMPLES: Final = """\
  certmint certificate list --dns-below svc.example --status revoked
  certmint certificate list --expires-before 2027-02-01T00:00:00Z --limit 20
  certmint certificate list --for-identity spiffe://example.org/payments --json
"""
_GET_EXAMPLES: Final = """\
  certmint certificate get 01977c...
  certmint certificate get 01977c... --issuer 0f1e2d3c4b5a6978 --out chain.pem
"""


def add_commands(commands: Commands) -> None:
    """Adds `revoke` and `certificate list|get`."""
    _add_revoke(commands)
    verbs = add_group(commands, "certificate", about="look into the registry", examples=_CERTIFICATE_EXAMPLES)
    _add_list(verbs)
    parser = add_command(verbs, "get", _get, about="one certificate", examples=_GET_EXAMPLES)
    parser.add_argument("serial", metavar="SERIAL", type=serial, help="hex, with or without colons")
    parser.add_argument("--issuer", metavar="ID", default="", help="its issuer, if not the active one")
    parser.add_argument("--out", metavar="FILE", help="write the chain here (PEM)")


def _add_revoke(commands: Commands) -> None:
    parser = add_command(commands, "revoke", _revoke, about="revoke a certificate", examples=_REVOKE_EXAMPLES)
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--certificate", metavar="FILE", help="it, or its chain, PEM or DER; - for standard input")
    target.add_argument("--serial", metavar="HEX", type=serial, help="its serial, with or without colons")
    parser.add_argument("--issuer", metavar="ID", default="", help="with --serial: its issuer, if not the active one")
    parser.add_argument(
        "--reason",
        choices=list(REVOCATION_REASONS),
        default="unspecified",
        help="keyCompromise also blocks the key for ever where the caller holds it, or is an operator (default "
        "unspecified)",
    )


def _add_list(verbs: Commands) -> None:
    parser = add_command(verbs, "list", _list, about="certificates that match a filter", examples=_LIST_EXAMPLES)
    parser.add_argument("--for-identity", metavar="SPIFFE-ID", default="", help="issued to this identity")
    name = parser.add_mutually_exclusive_group()
    name.add_argument("--dns", metavar="NAME", default="", help="that carry this DNS name")
    name.add_argument("--dns-below", metavar="SUFFIX", default="", help="that carry a DNS name below this one")
    parser.add_argument("--status", choices=list(_STATUSES), help="that stand like this")
    parser.add_argument("--profile", metavar="NAME", default="", help="issued under this profile")
    parser.add_argument("--expires-after", metavar="TIME", type=moment, help="at or after this time")
    parser.add_argument("--expires-before", metavar="TIME", type=moment, help="before this time")
    parser.add_argument("--limit", type=positive, default=1000, help="at most this many (default 1000)")


def _revoke(client: Client, arguments: argparse.Namespace) -> Answer:
    if arguments.certificate and arguments.issuer:
        raise UsageError("--issuer goes with --serial: a certificate names its issuer.")
    response = client.revoke(
        certificate_der=read_certificates(arguments.certificate)[0] if arguments.certificate else b"",
        issuer_id=arguments.issuer,
        serial_hex=arguments.serial or "",
        reason=REVOCATION_REASONS[arguments.reason],
    )
    facts = [
        ("in a CRL by", moment_text(response.published_by)),
        ("from CRL number", str(response.certificate.revocation.crl_number)),
        ("key", "blocked for ever" if response.key_blocked else "not blocked"),
    ]
    return Answer(response, [Facts([*certificate_facts(response.certificate).pairs, *facts])])


def _list(client: Client, arguments: argparse.Namespace) -> Answer:
    found = list(
        islice(
            client.iterate_certificates(
                identity=arguments.for_identity,
                dns_name=arguments.dns,
                dns_name_suffix=arguments.dns_below,
                status=resources.CertificateStatus.ValueType(_STATUSES.get(arguments.status, 0)),
                profile=arguments.profile,
                not_after_from=arguments.expires_after,
                not_after_until=arguments.expires_before,
                page_size=min(arguments.limit + 1, 1000),
            ),
            arguments.limit + 1,
        )
    )
    shown = found[: arguments.limit]
    more = f"There are more than {arguments.limit}: narrow the filter, or raise --limit."
    blocks: list[str | Table | Facts] = [certificate_table(shown)]
    if len(found) > len(shown):
        blocks.append(more)
    return Answer(ListCertificatesResponse(certificates=shown), blocks)


def _get(client: Client, arguments: argparse.Namespace) -> Answer:
    response = client.get_certificate(arguments.serial, issuer_id=arguments.issuer)
    chain_pem = b"".join(pem.encode(pem.CERTIFICATE, der) for der in response.chain_der)
    if arguments.out:
        Path(arguments.out).write_bytes(chain_pem)
    return Answer(response, [certificate_facts(response.certificate), "" if arguments.out else chain_pem.decode()])
