"""The chain engine: path, names, purpose and revocation of an X.509 chain in one verdict.

Values in, values out: no clock, no network, no file, and no URL found in a certificate is ever followed. It takes two
calls, with room between them to look up revocation:

    result = build_path(parse_chain(ders), trust_anchors=roots, purpose=Purpose.SERVER_AUTH,
                        expected_name=DnsName("payments.demo.test"), at_time=now)
    found = evidence_from_crls(result, crls, now=now)
    verdict = conclude(result, found.evidence, RevocationPolicy.REQUIRE_FRESH)
"""

from certmint.verification.chain import MAXIMUM_CERTIFICATE_BYTES, MAXIMUM_CERTIFICATES, ChainError, parse_chain
from certmint.verification.criteria import Purpose
from certmint.verification.crl import CrlEvidence, CrlRefusal, evidence_from_crls
from certmint.verification.failure import Failure, FailureReason
from certmint.verification.name import DnsName, ExpectedName, ExpectedNameError, IpAddress, UriName
from certmint.verification.path import PathCertificate, PathResult, build_path
from certmint.verification.revocation import (
    Revocation,
    RevocationEvidence,
    RevocationPolicy,
    RevocationReason,
    RevocationSource,
    RevocationStatus,
    Verdict,
    conclude,
)

__all__ = [
    "MAXIMUM_CERTIFICATES",
    "MAXIMUM_CERTIFICATE_BYTES",
    "ChainError",
    "CrlEvidence",
    "CrlRefusal",
    "DnsName",
    "ExpectedName",
    "ExpectedNameError",
    "Failure",
    "FailureReason",
    "IpAddress",
    "PathCertificate",
    "PathResult",
    "Purpose",
    "Revocation",
    "RevocationEvidence",
    "RevocationPolicy",
    "RevocationReason",
    "RevocationSource",
    "RevocationStatus",
    "UriName",
    "Verdict",
    "build_path",
    "conclude",
    "evidence_from_crls",
    "parse_chain",
]
