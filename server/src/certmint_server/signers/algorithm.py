"""The signature algorithm that stands in a certificate or a CRL."""

from cryptography import x509

from certmint_server.signers.signer import RSAPadding, SignatureScheme


def verify_signed_with(signed: x509.Certificate | x509.CertificateRevocationList, scheme: SignatureScheme) -> None:
    """Refuses what names another hash or padding than the scheme's; the signature itself is not verified.

    Raises:
        ValueError: it does.
    """
    parameters = signed.signature_algorithm_parameters
    padding = parameters if isinstance(parameters, RSAPadding) else None
    if (signed.signature_hash_algorithm, padding) != (scheme.hash_algorithm, scheme.rsa_padding):
        raise ValueError(f"not signed with {scheme.value}")
