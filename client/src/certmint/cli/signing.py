"""`sign-csr`."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from certmint import keys, pem
from certmint.ca.v1.certificate_authority_service_pb2 import SignCSRResponse
from certmint.cli import durations
from certmint.cli.arguments import Commands, UsageError, add_command, add_names, label, read_input
from certmint.cli.output import Answer, Facts
from certmint.cli.text import certificate_facts, moment
from certmint.client import Client
from certmint.identity import Identity, save_identity

_NEW_KEY_TYPE: Final = keys.KeyType.ECDSA_P256

_EXAMPLES: Final = """\
  openssl req -new -key key.pem -subj / | certmint sign-csr --csr - --out chain.pem
  certmint sign-csr --new-key ./payments --dns payments.example --lifetime 12h
  certmint sign-csr --new-key ./orders --for-identity spiffe://example.org/orders
  certmint sign-csr --csr request.der --validate-only
"""


def add_commands(commands: Commands) -> None:
    """Adds `sign-csr`."""
    parser = add_command(commands, "sign-csr", _sign, about="get a certificate for a key", examples=_EXAMPLES)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--csr", metavar="FILE", help="a CSR, PEM or DER; - for standard input")
    source.add_argument(
        "--new-key", metavar="DIR", help="make the key here, and keep it with chain and roots in this identity folder"
    )
    parser.add_argument(
        "--key-type",
        choices=list(keys.KeyType),
        type=keys.KeyType,
        help=f"with --new-key: its kind (default {_NEW_KEY_TYPE})",
    )
    add_names(parser, dns="with --new-key: a DNS name to ask for", ip="with --new-key: an IP address to ask for")
    parser.add_argument("--for-identity", metavar="SPIFFE-ID", default="", help="whose certificate, if not your own")
    parser.add_argument("--profile", metavar="NAME", default="", help="what kind of certificate (default service)")
    parser.add_argument("--lifetime", type=durations.argument, help="30m, 12h, 7d (default: the profile's)")
    parser.add_argument("--request-id", metavar="UUID", default="", help="with --csr: repeats an earlier request")
    parser.add_argument("--validate-only", action="store_true", help="check everything, issue nothing")
    parser.add_argument(
        "--label",
        metavar="KEY=VALUE",
        type=label,
        action="append",
        default=[],
        help="kept beside it; may be repeated",
    )
    parser.add_argument("--out", metavar="FILE", help="write the chain here (PEM); else it goes to standard output")


def _sign(client: Client, arguments: argparse.Namespace) -> Answer:
    if arguments.new_key:
        return _sign_new_key(client, arguments)
    if arguments.dns or arguments.ip or arguments.key_type:
        raise UsageError("--dns, --ip and --key-type go with --new-key: a CSR has its names and its key.")
    data = read_input(arguments.csr)
    response = _ask(client, arguments, _csr_der(data))
    if arguments.validate_only:
        return _answer(response, "The request is in order. Nothing was issued.")
    if not arguments.out:
        return Answer(response, data=_chain_pem(response))
    Path(arguments.out).write_bytes(_chain_pem(response))
    return _answer(response, f"The chain is in {arguments.out}.")


def _sign_new_key(client: Client, arguments: argparse.Namespace) -> Answer:
    if arguments.request_id or arguments.out:
        raise UsageError("--request-id and --out go with --csr: a new key is a new request, kept in its folder.")
    key = keys.generate(arguments.key_type or _NEW_KEY_TYPE)
    try:
        csr_der = keys.csr_der(key, dns_names=arguments.dns, ip_addresses=arguments.ip)
    except ValueError as error:
        raise UsageError(f"{error}.") from error
    if arguments.validate_only:
        return _answer(_ask(client, arguments, csr_der), "The request is in order. Nothing was issued or kept.")
    directory = Path(arguments.new_key)
    with _folder(directory):  # before the certificate exists, should it fail
        bundle = client.get_trust_bundle().trust_bundle
        response = _ask(client, arguments, csr_der)
        identity = Identity.from_der(
            key=key, chain_der=response.chain_der, trust_bundle_der=bundle.roots_der, server=client.server
        )
        save_identity(directory, identity)
    return _answer(response, f"The identity is in {directory}.")


@contextmanager
def _folder(directory: Path) -> Iterator[None]:
    made = [folder for folder in (directory, *directory.parents) if not folder.exists()]
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        yield
    finally:
        for folder in made:
            with suppress(OSError):  # it is not empty: it keeps an identity
                folder.rmdir()


def _ask(client: Client, arguments: argparse.Namespace, csr_der: bytes) -> SignCSRResponse:
    return client.sign_csr(
        csr_der,
        profile=arguments.profile,
        lifetime=arguments.lifetime,
        request_id=arguments.request_id,
        validate_only=arguments.validate_only,
        labels=dict(arguments.label),
        identity=arguments.for_identity,
    )


def _csr_der(data: bytes) -> bytes:
    if b"-----BEGIN" not in data:
        return data
    try:
        return pem.decode(pem.CERTIFICATE_REQUEST, data)[0]
    except ValueError as error:
        raise UsageError(f"The CSR cannot be read: {error}") from error


def _chain_pem(response: SignCSRResponse) -> bytes:
    return b"".join(pem.encode(pem.CERTIFICATE, der) for der in response.chain_der)


def _answer(response: SignCSRResponse, sentence: str) -> Answer:
    notes = "The lifetime was cut, since the issuer's own certificate ends then." if response.limited_by_issuer else ""
    renewal = [("renew after", moment(response.renew_after)), ("renew before", moment(response.renew_before))]
    facts = certificate_facts(response.certificate)
    return Answer(response, [sentence, Facts([*facts.pairs, *renewal, ("note", notes)])])
