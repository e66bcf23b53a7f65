"""A signer: a private key of an issuer and the one scheme it signs with."""

from dataclasses import dataclass
from enum import StrEnum

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey
Hash = hashes.SHA256 | hashes.SHA384 | hashes.SHA512
RSAPadding = padding.PSS | padding.PKCS1v15


_HASHES: dict[str, type[Hash]] = {"sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}


class SignatureScheme(StrEnum):
    """How an issuer signs. The values stand in the database."""

    ECDSA_SHA256 = "ecdsa-sha256"
    ECDSA_SHA384 = "ecdsa-sha384"
    ECDSA_SHA512 = "ecdsa-sha512"
    RSA_PKCS1_SHA256 = "rsa-pkcs1-sha256"
    RSA_PKCS1_SHA384 = "rsa-pkcs1-sha384"
    RSA_PKCS1_SHA512 = "rsa-pkcs1-sha512"
    RSA_PSS_SHA256 = "rsa-pss-sha256"
    RSA_PSS_SHA384 = "rsa-pss-sha384"
    RSA_PSS_SHA512 = "rsa-pss-sha512"
    ED25519 = "ed25519"

    @property
    def hash_algorithm(self) -> Hash | None:
        """The hash; None for Ed25519, which has its own."""
        if self is SignatureScheme.ED25519:
            return None
        return _HASHES[self[-6:]]()

    @property
    def rsa_padding(self) -> RSAPadding | None:
        """The padding; None unless RSA. PSS salts are as long as the hash (RFC 4055 section 3.1)."""
        if self.startswith("rsa-pss"):
            assert self.hash_algorithm
            return padding.PSS(padding.MGF1(self.hash_algorithm), self.hash_algorithm.digest_size)
        return padding.PKCS1v15() if self.startswith("rsa-pkcs1") else None


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key and how it signs. The key is left out of its repr."""

    scheme: SignatureScheme
    private_key: PrivateKey

    def __repr__(self) -> str:
        return f"Signer({self.scheme.value})"

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        return self.private_key.public_key()
