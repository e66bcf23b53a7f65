"""`get-crl`, `verify-chain`, `configuration` and `trust-bundle`."""

import argparse
from pathlib import Path
from typing import Final

from cryptography import x509

from certmint import pem
from certmint.ca.v1 import certificate_authority_service_pb2 as authority
from certmint.ca.v1 import resources_pb2 as resources
from certmint.cli import durations
from certmint.cli.arguments import Commands, UsageError, add_command, moment, positive, read_certificates
from certmint.cli.output import Answer, Facts, Table
from certmint.cli.text import joined, revocation, word
from certmint.cli.text import moment as moment_text
from certmint.client import Client

_PURPOSES: Final = {
    "server": authority.PURPOSE_SERVER_AUTH,
    "client": authority.PURPOSE_CLIENT_AUTH,
    "any": authority.PURPOSE_ANY,
}
_POLICIES: Final = {
    "require-fresh": authority.REVOCATION_POLICY_REQUIRE_FRESH,
    "soft-stale": authority.REVOCATION_POLICY_SOFT_STALE,
    "none": authority.REVOCATION_POLICY_NONE,
}

_CRL_EXAMPLES: Final = """\
  certmint get-crl | openssl crl -noout -text
  certmint get-crl --issuer 0f1e2d3c4b5a6978 --out issuer.crl --format der
"""
_VERIFY_EXAMPLES: Final = """\
  certmint verify-chain chain.pem --purpose server --dns payments.example
  certmint verify-chain chain.pem --purpose client --uri spiffe://example.org/payments
  certmint verify-chain - --purpose any --at 2027-01-31T12:00:00Z --revocation none < chain.pem

Exit status: 0 valid, 1 not valid, 2 the command line or the file cannot be used, 3 the server refused or could not be
reached.
"""
_BUNDLE_EXAMPLES: Final = """\
  certmint trust-bundle > roots.pem
  certmint trust-bundle --out roots.pem
"""


def add_commands(commands: Commands) -> None:
    """Adds the four commands."""
    parser = add_command(commands, "get-crl", _get_crl, about="the current CRL of an issuer", examples=_CRL_EXAMPLES)
    parser.add_argument("--issuer", metavar="ID", default="", help="whose, if not the active issuer's")
    parser.add_argument("--shard", type=positive, default=1, help="which part (default 1)")
    parser.add_argument("--out", metavar="FILE", help="write it here; else it goes to standard output")
    parser.add_argument("--format", choices=("pem", "der"), default="pem", help="what to write (default pem)")
    _add_verify_chain(commands)
    add_command(
        commands,
        "configuration",
        _configuration,
        about="who you are to the server, and what you may ask for",
        examples="  certmint configuration\n",
    )
    parser = add_command(commands, "trust-bundle", _trust_bundle, about="the roots to trust", examples=_BUNDLE_EXAMPLES)
    parser.add_argument("--out", metavar="FILE", help="write it here (PEM); else it goes to standard output")


def _add_verify_chain(commands: Commands) -> None:
    parser = add_command(commands, "verify-chain", _verify_chain, about="judge a chain", examples=_VERIFY_EXAMPLES)
    parser.add_argument("chain", metavar="FILE", help="PEM, the leaf first; - for standard input")
    parser.add_argument("--purpose", choices=list(_PURPOSES), required=True, help="what the leaf is to be used for")
    name = parser.add_mutually_exclusive_group()
    name.add_argument("--dns", metavar="NAME", default="", help="the DNS name that the leaf must carry")
    name.add_argument("--ip", metavar="ADDRESS", default="", help="the IP address that the leaf must carry")
    name.add_argument("--uri", default="", help="the URI that the leaf must carry")
    parser.add_argument("--at", metavar="TIME", type=moment, help="the time to judge by (default now)")
    parser.add_argument(
        "--revocation",
        choices=list(_POLICIES),
        default="require-fresh",
        help="how revocation bears on it (default require-fresh)",
    )


def _get_crl(client: Client, arguments: argparse.Namespace) -> Answer:
    response = client.get_crl(issuer_id=arguments.issuer, shard=arguments.shard)
    crl = response.crl
    data = crl.crl_der if arguments.format == "der" else pem.encode(pem.X509_CRL, crl.crl_der)
    if not arguments.out:
        return Answer(response, data=data)
    Path(arguments.out).write_bytes(data)
    facts = [
        ("issuer", crl.issuer_id),
        ("shard", str(crl.shard)),
        ("number", str(crl.crl_number)),
        ("this update", moment_text(crl.this_update)),
        ("next update", moment_text(crl.next_update)),
        ("revocations", str(crl.entry_count)),
        ("SHA-256", crl.sha256),
        ("URL", crl.url),
    ]
    return Answer(response, [f"The CRL is in {arguments.out}.", Facts(facts)])


def _verify_chain(client: Client, arguments: argparse.Namespace) -> Answer:
    response = client.verify_chain(
        read_certificates(arguments.chain),
        purpose=_PURPOSES[arguments.purpose],
        dns_name=arguments.dns,
        ip_address=arguments.ip,
        uri=arguments.uri,
        at_time=arguments.at,
        revocation_policy=_POLICIES[arguments.revocation],
    )
    blocks: list[str | Table | Facts] = [
        "valid" if response.valid else "not valid",
        Facts([("judged by", moment_text(response.evaluated_at)), ("revocation", arguments.revocation)]),
    ]
    if response.failures:
        blocks.append(Table(("CERTIFICATE", "REASON", "DETAIL"), [_failure(failure) for failure in response.failures]))
    if response.revocation:
        rows = [_evidence(evidence) for evidence in response.revocation]
        blocks.append(Table(("CERTIFICATE", "SERIAL", "SOURCE", "CRL", "THIS UPDATE", "FRESH", "REVOKED"), rows))
    return Answer(response, blocks, exit_status=0 if response.valid else 1)


def _failure(failure: authority.VerificationFailure) -> tuple[str, str, str]:
    name = authority.VerificationFailureReason.Name(failure.reason)
    return _position(failure), name.removeprefix("VERIFICATION_FAILURE_REASON_"), failure.detail


def _evidence(evidence: authority.RevocationEvidence) -> tuple[str, ...]:
    return (
        _position(evidence),
        evidence.serial_hex,
        word(authority.RevocationSource.Name(evidence.source), "REVOCATION_SOURCE_") if evidence.source else "none",
        str(evidence.crl_number or ""),
        moment_text(evidence.this_update),
        "yes" if evidence.fresh else "no",
        revocation(evidence.revocation) if evidence.HasField("revocation") else "no",
    )


def _position(part: authority.VerificationFailure | authority.RevocationEvidence) -> str:
    return str(part.certificate_index) if part.HasField("certificate_index") else "-"


def _configuration(client: Client, _: argparse.Namespace) -> Answer:
    response = client.get_configuration()
    facts = [
        ("identity", response.identity),
        ("trust domain", response.trust_domain),
        ("roles", joined(word(resources.Role.Name(role), "ROLE_") for role in response.roles)),
        ("DNS names", joined(response.dns_names)),
        ("IP addresses", joined(response.ip_addresses)),
        ("server", f"{client.server}, version {response.server_version}"),
        ("server time", moment_text(response.server_time)),
        ("CRL within", durations.text(response.crl_publication_bound)),
    ]
    profiles = [
        (profile.name, durations.text(profile.default_lifetime), durations.text(profile.maximum_lifetime))
        for profile in response.profiles
    ]
    issuers = [
        (issuer.issuer_id, word(resources.IssuerState.Name(issuer.state), "ISSUER_STATE_"), issuer.subject)
        for issuer in response.issuers
    ]
    return Answer(
        response,
        [
            Facts(facts),
            Table(("PROFILE", "DEFAULT LIFETIME", "MAXIMUM LIFETIME"), profiles),
            Table(("ISSUER", "STATE", "SUBJECT"), issuers),
        ],
    )


def _trust_bundle(client: Client, arguments: argparse.Namespace) -> Answer:
    response = client.get_trust_bundle()
    bundle = response.trust_bundle
    data = b"".join(pem.encode(pem.CERTIFICATE, der) for der in bundle.roots_der)
    if not arguments.out:
        return Answer(response, data=data)
    Path(arguments.out).write_bytes(data)
    roots = Table(("SUBJECT", "NOT AFTER"), [_root(der) for der in bundle.roots_der])
    facts = Facts([("trust domain", bundle.trust_domain), ("sequence", str(bundle.sequence))])
    return Answer(response, [f"The trust bundle is in {arguments.out}.", facts, roots])


def _root(der: bytes) -> tuple[str, str]:
    try:
        root = x509.load_der_x509_certificate(der)
    except ValueError as error:
        raise UsageError("A root of the server's trust bundle does not parse.") from error
    return root.subject.rfc4514_string(), f"{root.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
