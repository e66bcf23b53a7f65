"""AlgorithmIdentifiers of signatures, DER.

ECDSA: RFC 5758 section 3.2. RSA: RFC 4055 sections 3.1 and 5. Ed25519: RFC 8410 section 3.
"""

from functools import cache

from certmint_server.issuance.der import INTEGER, SEQUENCE, write
from certmint_server.signers.signer import SignatureScheme

_ECDSA = bytes.fromhex("06082a8648ce3d0403")
_RSA = bytes.fromhex("06092a864886f70d0101")
_RSA_PSS = bytes.fromhex("06092a864886f70d01010a")
_MGF1 = bytes.fromhex("06092a864886f70d010108")
_SHA2 = bytes.fromhex("060960864801650304 02")
_ED25519 = bytes.fromhex("06032b6570")
_NULL = bytes.fromhex("0500")
_LAST_ARCS = {
    # Of ecdsa-with-SHA2, shaWithRSAEncryption and the hash itself.
    "sha256": (b"\x02", b"\x0b", b"\x01"),
    "sha384": (b"\x03", b"\x0c", b"\x02"),
    "sha512": (b"\x04", b"\x0d", b"\x03"),
}


@cache
def signature_algorithm_der(scheme: SignatureScheme) -> bytes:
    """The AlgorithmIdentifier that a scheme's signatures carry."""
    if scheme is SignatureScheme.ED25519:
        return write(SEQUENCE, _ED25519)
    ecdsa, rsa, sha2 = _LAST_ARCS[scheme[-6:]]
    if scheme.startswith("ecdsa"):
        return write(SEQUENCE, _ECDSA + ecdsa)
    if scheme.startswith("rsa-pkcs1"):
        return write(SEQUENCE, _RSA + rsa, _NULL)
    return write(SEQUENCE, _RSA_PSS, _pss_parameters(write(SEQUENCE, _SHA2 + sha2, _NULL), scheme))


def _pss_parameters(hash_der: bytes, scheme: SignatureScheme) -> bytes:
    assert scheme.hash_algorithm
    salt_length = write(INTEGER, bytes([scheme.hash_algorithm.digest_size]))
    mask = write(SEQUENCE, _MGF1, hash_der)
    return write(SEQUENCE, write(0xA0, hash_der), write(0xA1, mask), write(0xA2, salt_length))
