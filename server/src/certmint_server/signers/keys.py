"""The keys that an issuer may sign with."""

from collections.abc import Callable
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from certmint_server.errors import ConfigError
from certmint_server.signers.signer import PrivateKey, PublicKey, SignatureScheme

_RSA_EXPONENT = 65537
_MINIMUM_RSA_BITS = 2048
_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})


class IssuerKeyType(StrEnum):
    """Kinds of issuer keys. The values are what people write."""

    ECDSA_P256 = "ecdsa-p256"
    ECDSA_P384 = "ecdsa-p384"
    ECDSA_P521 = "ecdsa-p521"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    ED25519 = "ed25519"


_GENERATORS: dict[IssuerKeyType, Callable[[], PrivateKey]] = {
    IssuerKeyType.ECDSA_P256: lambda: ec.generate_private_key(ec.SECP256R1()),
    IssuerKeyType.ECDSA_P384: lambda: ec.generate_private_key(ec.SECP384R1()),
    IssuerKeyType.ECDSA_P521: lambda: ec.generate_private_key(ec.SECP521R1()),
    IssuerKeyType.RSA_2048: lambda: rsa.generate_private_key(_RSA_EXPONENT, 2048),
    IssuerKeyType.RSA_3072: lambda: rsa.generate_private_key(_RSA_EXPONENT, 3072),
    IssuerKeyType.RSA_4096: lambda: rsa.generate_private_key(_RSA_EXPONENT, 4096),
    IssuerKeyType.ED25519: ed25519.Ed25519PrivateKey.generate,
}


def generate_key(key_type: IssuerKeyType) -> PrivateKey:
    """A new private key."""
    return _GENERATORS[key_type]()


def verify_scheme_fits(public_key: PublicKey, scheme: SignatureScheme) -> None:
    """Refuses a key that is too weak for an issuer, or that cannot sign in this way.

    Raises:
        ConfigError: the scheme is of another kind of key, or the key is weak.
    """
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        fits, is_strong = scheme.startswith("ecdsa-"), public_key.curve.name in _CURVES
    elif isinstance(public_key, rsa.RSAPublicKey):
        fits, is_strong = scheme.startswith("rsa-"), public_key.key_size >= _MINIMUM_RSA_BITS
    else:
        fits, is_strong = scheme is SignatureScheme.ED25519, True
    if not fits:
        raise ConfigError(f"The issuer's key is not one for {scheme.value}. Name the scheme that the key was made for.")
    if not is_strong:
        raise ConfigError("An issuer's key is on P-256, P-384 or P-521, is RSA of at least 2048 bits, or Ed25519.")
