"""Private keys that look at what they sign.

`cryptography`'s builders encode and sign in one call. They take any object of the key's class, so one whose `sign`
sees the bytes to be signed (the TBSCertificate, the TBSCertList) is the documented way to check exactly these bytes
first, without a throw-away signature.
"""

from collections.abc import Callable
from typing import NoReturn

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo, Prehashed
from cryptography.utils import Buffer

from certmint_server.signers.signer import PrivateKey

Check = Callable[[bytes], None]


def checked_key(private_key: PrivateKey, check: Check) -> PrivateKey:
    """A key that calls `check` on what it is about to sign; what `check` raises leaves it unsigned and comes through.

    It does nothing but sign: every other use of the private half is a TypeError.
    """
    match private_key:
        case ec.EllipticCurvePrivateKey():
            return CheckedECKey(private_key, check)
        case rsa.RSAPrivateKey():
            return CheckedRSAKey(private_key, check)
        case ed25519.Ed25519PrivateKey():
            return CheckedEd25519Key(private_key, check)


class _SignsOnly:
    """Refuses what a private key can do besides signing."""

    __slots__ = ()

    def exchange(self, *_args: object, **_kwargs: object) -> NoReturn:
        raise _signs_only()

    def decrypt(self, *_args: object, **_kwargs: object) -> NoReturn:
        raise _signs_only()

    def private_numbers(self) -> NoReturn:
        raise _signs_only()

    def private_bytes(self, *_args: object, **_kwargs: object) -> NoReturn:
        raise _signs_only()

    def private_bytes_raw(self) -> NoReturn:
        raise _signs_only()

    def __copy__(self) -> NoReturn:
        raise _signs_only()

    def __deepcopy__(self, _memo: object) -> NoReturn:
        raise _signs_only()

    def __reduce__(self) -> NoReturn:
        raise _signs_only()


class CheckedECKey(_SignsOnly, ec.EllipticCurvePrivateKey):
    """A checked key for ECDSA."""

    __slots__ = ("_check", "_key")

    def __init__(self, key: ec.EllipticCurvePrivateKey, check: Check) -> None:
        self._key = key
        self._check = check

    @property
    def curve(self) -> ec.EllipticCurve:
        """The curve."""
        return self._key.curve

    @property
    def key_size(self) -> int:
        """Bits."""
        return self._key.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half."""
        return self._key.public_key()

    def sign(self, data: Buffer, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """Checks, then signs.

        Raises:
            TypeError: `data` is a digest, which tells nothing of what is signed.
        """
        _refuse_digest(signature_algorithm.algorithm)
        to_be_signed = bytes(data)
        self._check(to_be_signed)
        return self._key.sign(to_be_signed, signature_algorithm)


class CheckedRSAKey(_SignsOnly, rsa.RSAPrivateKey):
    """A checked key for RSA."""

    __slots__ = ("_check", "_key")

    def __init__(self, key: rsa.RSAPrivateKey, check: Check) -> None:
        self._key = key
        self._check = check

    @property
    def key_size(self) -> int:
        """Bits."""
        return self._key.key_size

    def public_key(self) -> rsa.RSAPublicKey:
        """The public half."""
        return self._key.public_key()

    def sign(
        self, data: bytes, padding: AsymmetricPadding, algorithm: Prehashed | hashes.HashAlgorithm | NoDigestInfo
    ) -> bytes:
        """Checks, then signs.

        Raises:
            TypeError: `data` is a digest, which tells nothing of what is signed.
        """
        _refuse_digest(algorithm)
        to_be_signed = bytes(data)
        self._check(to_be_signed)
        return self._key.sign(to_be_signed, padding, algorithm)


class CheckedEd25519Key(_SignsOnly, ed25519.Ed25519PrivateKey):
    """A checked key for Ed25519."""

    __slots__ = ("_check", "_key")

    def __init__(self, key: ed25519.Ed25519PrivateKey, check: Check) -> None:
        self._key = key
        self._check = check

    def public_key(self) -> ed25519.Ed25519PublicKey:
        """The public half."""
        return self._key.public_key()

    def sign(self, data: Buffer) -> bytes:
        """Checks, then signs."""
        to_be_signed = bytes(data)
        self._check(to_be_signed)
        return self._key.sign(to_be_signed)


def _refuse_digest(algorithm: object) -> None:
    if not isinstance(algorithm, hashes.HashAlgorithm):
        raise TypeError("A checked key signs data, not a digest.")


def _signs_only() -> TypeError:
    return TypeError("A checked key signs and does nothing else.")
