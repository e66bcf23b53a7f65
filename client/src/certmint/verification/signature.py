"""Keys and signatures: which are good enough, and whether one verifies."""

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import PublicKeyAlgorithmOID, SignatureAlgorithmOID

from certmint.verification.failure import FailureReason, Fault, describe

EDWARDS_KEYS = frozenset({PublicKeyAlgorithmOID.ED25519, PublicKeyAlgorithmOID.ED448})
# The AlgorithmIdentifier of a key on a named curve (RFC 5480 section 2.1.1); one that spells its curve out is refused.
_CURVES = {
    "secp256r1": bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107"),
    "secp384r1": bytes.fromhex("301006072a8648ce3d020106052b81040022"),
    "secp521r1": bytes.fromhex("301006072a8648ce3d020106052b81040023"),
}
_MINIMUM_RSA_BITS = 2048
_MINIMUM_RSA_EXPONENT = 3
_UNSIZED_KEYS = (
    ed25519.Ed25519PublicKey,
    ed448.Ed448PublicKey,
    mldsa.MLDSA44PublicKey,
    mldsa.MLDSA65PublicKey,
    mldsa.MLDSA87PublicKey,
)
ACCEPTED_SIGNATURES = frozenset(
    {
        SignatureAlgorithmOID.ECDSA_WITH_SHA256,
        SignatureAlgorithmOID.ECDSA_WITH_SHA384,
        SignatureAlgorithmOID.ECDSA_WITH_SHA512,
        SignatureAlgorithmOID.RSA_WITH_SHA256,
        SignatureAlgorithmOID.RSA_WITH_SHA384,
        SignatureAlgorithmOID.RSA_WITH_SHA512,
        SignatureAlgorithmOID.RSASSA_PSS,
        SignatureAlgorithmOID.ED25519,
        SignatureAlgorithmOID.ED448,
        SignatureAlgorithmOID.ML_DSA_44,
        SignatureAlgorithmOID.ML_DSA_65,
        SignatureAlgorithmOID.ML_DSA_87,
    }
)


def key_fault(certificate: x509.Certificate) -> Fault | None:
    """What is wrong with the certificate's own key, if anything.

    P-256, P-384, P-521, RSA of at least 2048 bits in whole octets, Ed25519, Ed448 and ML-DSA pass.
    """
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return Fault(FailureReason.ALGORITHM, "Its key cannot be read.")
    weakness = _weakness(key, certificate.tbs_certificate_bytes)
    return Fault(FailureReason.ALGORITHM, weakness) if weakness else None


def _weakness(key: CertificatePublicKeyTypes, tbs: bytes) -> str:
    match key:
        case ec.EllipticCurvePublicKey():
            encoded = _CURVES.get(key.curve.name)
            return "" if encoded and encoded in tbs else f"Its key is on the curve {key.curve.name}, or spells it out."
        case rsa.RSAPublicKey():
            return _rsa_weakness(key)
        case _ if isinstance(key, _UNSIZED_KEYS):
            return ""
        case _:
            return "Its key is of a kind that is not accepted."


def _rsa_weakness(key: rsa.RSAPublicKey) -> str:
    if key.key_size < _MINIMUM_RSA_BITS or key.key_size % 8:
        return f"Its RSA key has {key.key_size} bits; at least {_MINIMUM_RSA_BITS}, in whole octets, are accepted."
    # With an exponent of 1 everybody can make its signatures.
    return "Its RSA key has an exponent below 3." if key.public_numbers().e < _MINIMUM_RSA_EXPONENT else ""


def signature_fault(certificate: x509.Certificate, issuer: x509.Certificate) -> Fault | None:
    """Why `certificate` is not signed by `issuer`, whose name it gives; None: it is."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except UnsupportedAlgorithm:
        return Fault(FailureReason.ALGORITHM, "It is signed with an algorithm that is not known here.")
    except (InvalidSignature, ValueError, TypeError):
        return Fault(
            FailureReason.SIGNATURE_INVALID,
            f"Its signature does not verify under the key of its issuer, {describe(issuer.subject)}.",
        )
    return None


def signature_algorithm_fault(certificate: x509.Certificate, issuer: x509.Certificate) -> Fault | None:
    """Why the algorithm of a signature that verifies is not accepted, if so.

    PKCS #1 v1.5 and ECDSA with SHA-256, SHA-384 or SHA-512, RSASSA-PSS with one of these, MGF1 with the same and a
    salt of its length, Ed25519, Ed448 and ML-DSA are.
    """
    if certificate.signature_algorithm_oid not in ACCEPTED_SIGNATURES:
        oid = certificate.signature_algorithm_oid.dotted_string
        return Fault(FailureReason.ALGORITHM, f"It is signed with an algorithm that is not accepted ({oid}).")
    if issuer.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS:
        return Fault(FailureReason.ALGORITHM, "Its issuer's key is bound to RSASSA-PSS, which is not accepted.")
    if certificate.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS:
        return _pss_fault(certificate, issuer)
    return None


def _pss_fault(certificate: x509.Certificate, issuer: x509.Certificate) -> Fault | None:
    """Verify once more with exactly the parameters that are accepted: the library does not tell the given ones."""
    key, digest = issuer.public_key(), certificate.signature_hash_algorithm
    refusal = Fault(FailureReason.ALGORITHM, "It is signed with RSASSA-PSS parameters that are not accepted.")
    if not isinstance(key, rsa.RSAPublicKey) or digest is None or digest.name not in ("sha256", "sha384", "sha512"):
        return refusal
    scheme = padding.PSS(padding.MGF1(digest), digest.digest_size)
    try:
        key.verify(certificate.signature, certificate.tbs_certificate_bytes, scheme, digest)
    except InvalidSignature:
        return refusal
    return None
