"""The signature algorithm of an issuer: in what it signed, and under its key."""

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from certmint_server.signers.signer import PublicKey, RSAPadding, SignatureScheme


def verify_signed_with(signed: x509.Certificate | x509.CertificateRevocationList, scheme: SignatureScheme) -> None:
    """Refuses what names another hash or padding than the scheme's; the signature itself is not verified.

    Raises:
        ValueError: it does.
    """
    parameters = signed.signature_algorithm_parameters
    padding = parameters if isinstance(parameters, RSAPadding) else None
    if (signed.signature_hash_algorithm, padding) != (scheme.hash_algorithm, scheme.rsa_padding):
        raise ValueError(f"not signed with {scheme.value}")


def verify_signature(public_key: PublicKey, scheme: SignatureScheme, signature: bytes, data: bytes) -> None:
    """Verifies what `scheme` made.

    Raises:
        InvalidSignature: this key did not sign this data in this way.
        TypeError: the scheme is not one for this key.
    """
    algorithm, padding = scheme.hash_algorithm, scheme.rsa_padding
    if isinstance(public_key, ec.EllipticCurvePublicKey) and algorithm and not padding:
        public_key.verify(signature, data, ec.ECDSA(algorithm))
    elif isinstance(public_key, rsa.RSAPublicKey) and algorithm and padding:
        public_key.verify(signature, data, padding, algorithm)
    elif scheme is SignatureScheme.ED25519 and not isinstance(public_key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        public_key.verify(signature, data)
    else:
        raise TypeError(f"not a key for {scheme.value}")
