"""The keys that a leaf may hold, and what makes one too weak."""

from enum import IntEnum

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from certmint_server.errors import KeyTypeNotAllowedError, KeyWeakError

_FIELD = "csr_der"
_RSA_EXPONENT = 65537


class KeyType(IntEnum):
    """Kinds of leaf keys. The numbers are those of `certmint.ca.v1.KeyType`."""

    ECDSA_P256 = 1
    ECDSA_P384 = 2
    ECDSA_P521 = 3
    RSA_2048 = 4
    RSA_3072 = 5
    RSA_4096 = 6
    ED25519 = 7

    @property
    def title(self) -> str:
        """Its name as people write it."""
        return self.name.lower().replace("_", "-")


LeafPublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey

_BY_CURVE = {"secp256r1": KeyType.ECDSA_P256, "secp384r1": KeyType.ECDSA_P384, "secp521r1": KeyType.ECDSA_P521}
_BY_MODULUS_BITS = {2048: KeyType.RSA_2048, 3072: KeyType.RSA_3072, 4096: KeyType.RSA_4096}


def classify_key(key: PublicKeyTypes) -> tuple[LeafPublicKey, KeyType]:
    """The key with its kind.

    Raises:
        KeyTypeNotAllowedError: no profile could accept such a key.
    """
    key_type: KeyType | None = None
    if isinstance(key, ec.EllipticCurvePublicKey):
        key_type = _BY_CURVE.get(key.curve.name)
    elif isinstance(key, rsa.RSAPublicKey):
        key_type = _BY_MODULUS_BITS.get(key.key_size)
    elif isinstance(key, ed25519.Ed25519PublicKey):
        key_type = KeyType.ED25519
    if key_type is None or not isinstance(key, LeafPublicKey):
        raise KeyTypeNotAllowedError(
            "Use a key on P-256, P-384 or P-521, RSA of 2048, 3072 or 4096 bits, or Ed25519.", field=_FIELD
        )
    return key, key_type


def verify_key_quality(key: LeafPublicKey) -> None:
    """Refuses keys that are weak whatever their size.

    Raises:
        KeyWeakError: the key is weak.
    """
    if isinstance(key, rsa.RSAPublicKey) and key.public_numbers().e != _RSA_EXPONENT:
        raise KeyWeakError("An RSA key here has the public exponent 65537.", field=_FIELD)
