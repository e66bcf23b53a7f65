"""An issuer, as it is stored and as it signs."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from functools import cached_property
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from certmint_server.errors import IssuerNotActiveError, IssuerNotFoundError
from certmint_server.signers.signer import PublicKey, SignatureScheme, Signer
from certmint_server.unreadable import UNREADABLE

ID_HEX_DIGITS = 16


class IssuerState(IntEnum):
    """Where an issuer stands. The numbers are those of `certmint.ca.v1.IssuerState` and of the database."""

    ACTIVE = 1
    OFFLINE = 2


@dataclass(frozen=True)
class Issuer:
    """A distinguished name and a key, with its certificate.

    `distribution_url` is the http URL below which its CRLs and certificate are served: it is in every certificate it
    signs, so it never changes. `key_uri` names where its key lives (`file:...`), empty for an offline root.
    `parent_id` is the issuer of its certificate; a root is its own parent.
    """

    certificate_der: bytes
    parent_id: str
    state: IssuerState
    scheme: SignatureScheme
    distribution_url: str
    crl_shard_count: int = 1
    key_uri: str = ""

    @cached_property
    def certificate(self) -> x509.Certificate:
        """Its certificate."""
        return x509.load_der_x509_certificate(self.certificate_der)

    @cached_property
    def issuer_id(self) -> str:
        """The first 16 hex digits of the SHA-256 of its subjectPublicKeyInfo."""
        return issuer_id_of(self.public_key)

    @cached_property
    def public_key(self) -> PublicKey:
        """Its key."""
        key = self.certificate.public_key()
        if not isinstance(key, PublicKey):
            raise TypeError("an issuer's key is ECDSA, RSA or Ed25519")
        return key

    @property
    def is_root(self) -> bool:
        """Whether it signed its own certificate."""
        return self.parent_id == self.issuer_id

    @cached_property
    def name_der(self) -> bytes:
        """Its distinguished name: the issuer field of what it signs, byte for byte."""
        return self.certificate.subject.public_bytes()

    @cached_property
    def subject_key_id(self) -> bytes:
        """Its SKID: the AKID of what it signs."""
        return self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest

    @cached_property
    def extended_key_usages(self) -> frozenset[str]:
        """Dotted OIDs of the usages that it may pass on; empty if its certificate does not bound them."""
        try:
            usages = self.certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except x509.ExtensionNotFound:
            return frozenset()
        return frozenset(usage.dotted_string for usage in usages)

    @cached_property
    def not_before(self) -> datetime:
        """Start of its validity, inclusive."""
        return self.certificate.not_valid_before_utc

    @cached_property
    def not_after(self) -> datetime:
        """End of its validity, inclusive."""
        return self.certificate.not_valid_after_utc

    def crl_url(self, shard: int) -> str:
        """Where its CRL `shard` is served: the CRLDP of the certificates in it."""
        return f"{self.distribution_url}/crl/{self.issuer_id}/{shard}.crl"

    @property
    def certificate_url(self) -> str:
        """Where its certificate is served: the AIA of what it signs."""
        return f"{self.distribution_url}/aia/{self.issuer_id}.cer"


def issuer_id_of(public_key: PublicKey) -> str:
    """The issuer id that belongs to a key."""
    spki = public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()[:ID_HEX_DIGITS]


@dataclass(frozen=True, slots=True)
class Authority:
    """What is fixed when a CA is made, and how often its roots changed since."""

    trust_domain: str
    trust_bundle_sequence: int


class IssuerStore(Protocol):
    """Where issuers are kept."""

    async def authority(self) -> Authority | None:
        """The authority, if this database was initialised."""
        ...

    async def list_issuers(self) -> Sequence[Issuer]:
        """All issuers, in the order they were added."""
        ...

    async def initialise(self, authority: Authority, issuers: Sequence[Issuer], *, at: datetime, by: str) -> None:
        """Makes the authority with its first issuers, each with its CRL shards, in one transaction.

        Raises:
            ConfigError: this database was initialised before.
        """
        ...


class IssuerTrust(Protocol):
    """Who knows whether an issuer is still trusted."""

    async def verify(self, issuer: Issuer) -> None:
        """Lets pass an issuer that was not revoked.

        Raises:
            IssuerNotActiveError: it was.
        """
        ...


class Issuers:
    """The issuers of this server and the signers of those it can sign with, by issuer id."""

    def __init__(self, authority: Authority, issuers: Sequence[Issuer], signers: Mapping[str, Signer]) -> None:
        self.authority = authority
        self._issuers = {issuer.issuer_id: issuer for issuer in issuers}
        self._signers = signers

    def __iter__(self) -> Iterator[Issuer]:
        return iter(self._issuers.values())

    def get(self, issuer_id: str) -> Issuer:
        """The issuer; the active one if `issuer_id` is empty.

        Raises:
            IssuerNotFoundError: there is none with this id.
            IssuerNotActiveError: there is no active one.
        """
        if not issuer_id:
            return self.active()
        issuer = self._issuers.get(issuer_id)
        if issuer is None:
            raise IssuerNotFoundError("There is no issuer with this id.", field="issuer_id")
        return issuer

    def active(self) -> Issuer:
        """The issuer that signs certificates.

        Raises:
            IssuerNotActiveError: there is none.
        """
        for issuer in self._issuers.values():
            if issuer.state is IssuerState.ACTIVE:
                return issuer
        raise IssuerNotActiveError("No issuer is active.")

    def signer(self, issuer: Issuer) -> Signer:
        """The signer of an issuer.

        Raises:
            IssuerNotActiveError: its key is not on this server.
        """
        signer = self._signers.get(issuer.issuer_id)
        if signer is None:
            raise IssuerNotActiveError("The key of this issuer is not on this server.")
        return signer

    def knows(self, issuer_id: str) -> bool:
        """Whether there is such an issuer."""
        return issuer_id in self._issuers

    def chain_der(self, issuer: Issuer) -> tuple[bytes, ...]:
        """The issuer's certificate and those above it, without the root."""
        chain = []
        while not issuer.is_root:
            chain.append(issuer.certificate_der)
            issuer = self._issuers[issuer.parent_id]
        return tuple(chain)

    def roots(self) -> tuple[Issuer, ...]:
        """The roots: the trust bundle."""
        return tuple(issuer for issuer in self._issuers.values() if issuer.is_root)

    def of_certificate(self, certificate: x509.Certificate) -> Issuer | None:
        """The issuer that a certificate names, by its issuer name and AKID; nothing is verified."""
        try:
            akid = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        except x509.ExtensionNotFound:
            return None
        except UNREADABLE:
            return None
        for issuer in self._issuers.values():
            if issuer.subject_key_id == akid and issuer.certificate.subject == certificate.issuer:
                return issuer
        return None
