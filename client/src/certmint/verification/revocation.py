"""What is known about the revocation of a path's certificates, and the verdict with it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from certmint.verification.failure import Failure, FailureReason
from certmint.verification.path import PathCertificate, PathResult


class RevocationPolicy(IntEnum):
    """How revocation bears on the verdict. The numbers are those of `certmint.ca.v1.RevocationPolicy`."""

    REQUIRE_FRESH = 1
    SOFT_STALE = 2
    NONE = 3


class RevocationSource(IntEnum):
    """Where evidence came from. The numbers are those of `certmint.ca.v1.RevocationSource`."""

    REGISTRY = 1
    CRL = 2


class RevocationReason(IntEnum):
    """CRLReason (RFC 5280 section 5.3.1)."""

    UNSPECIFIED = 0
    KEY_COMPROMISE = 1
    CA_COMPROMISE = 2
    AFFILIATION_CHANGED = 3
    SUPERSEDED = 4
    CESSATION_OF_OPERATION = 5
    CERTIFICATE_HOLD = 6
    REMOVE_FROM_CRL = 8
    PRIVILEGE_WITHDRAWN = 9
    AA_COMPROMISE = 10


_COMPROMISES = frozenset(
    {RevocationReason.KEY_COMPROMISE, RevocationReason.CA_COMPROMISE, RevocationReason.AA_COMPROMISE}
)


@dataclass(frozen=True, slots=True)
class Revocation:
    """A revocation. CRLs from `crl_number` on carry it."""

    reason: RevocationReason
    revoked_at: datetime
    crl_number: int

    def counts_at(self, at_time: datetime) -> bool:
        """Whether it stands against the certificate at that time.

        A compromise counts at any time, also before it was known: who has the key can date what it signs as they like,
        so a date before the revocation proves nothing.
        """
        return self.revoked_at <= at_time or self.reason in _COMPROMISES


@dataclass(frozen=True, slots=True)
class RevocationEvidence:
    """What one source says about one certificate.

    Attributes:
        source: Where it came from.
        crl_number: The CRL's number; with REGISTRY, that of the CRL published last.
        this_update: When the information was made.
        next_update: Until when it counts as fresh, inclusive. None: it is as of now, and always does.
        revocation: Set when the certificate is revoked.
        is_never_issued: The registry of its issuer does not know the certificate, though the issuer's key signed it.
    """

    source: RevocationSource
    crl_number: int
    this_update: datetime
    next_update: datetime | None
    revocation: Revocation | None = None
    is_never_issued: bool = False

    def is_fresh_at(self, at_time: datetime) -> bool:
        """Whether it is not past its next_update."""
        return self.next_update is None or at_time <= self.next_update


@dataclass(frozen=True, slots=True)
class RevocationStatus:
    """The evidence for one certificate of the path, if there is any, and whether it is fresh at the time judged by."""

    certificate: PathCertificate
    evidence: RevocationEvidence | None
    is_fresh: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer on a chain.

    Attributes:
        path: Leaf first, without the trust anchor. Empty when there is none.
        trust_anchor: None when no path reaches one.
        failures: Empty exactly when the chain is valid.
        revocation: One for each certificate of `path`. Empty with the policy NONE.
        evaluated_at: The time judged by.
        policy: The policy applied.
    """

    path: tuple[PathCertificate, ...]
    trust_anchor: PathCertificate | None
    failures: tuple[Failure, ...]
    revocation: tuple[RevocationStatus, ...]
    evaluated_at: datetime
    policy: RevocationPolicy

    @property
    def valid(self) -> bool:
        """Whether there is nothing against the chain."""
        return not self.failures


def conclude(
    result: PathResult,
    evidence: Mapping[int, RevocationEvidence],
    policy: RevocationPolicy,
    *,
    as_of_now: bool = False,
) -> Verdict:
    """The verdict on a path, given what is known about revocation.

    Args:
        result: From `build_path`.
        evidence: By position in `result.certificates`; a position that is missing means that nothing is known.
        policy: REQUIRE_FRESH asks for fresh evidence on each certificate but the anchor. SOFT_STALE accepts stale or
            missing evidence, and refuses what it says against a certificate. NONE does not look at revocation; a
            certificate that its issuer's registry never issued is refused under every policy.
        as_of_now: The time judged by is the present. Then a revocation counts whatever its date: a clock that lags
            behind the one that dated it must not make the certificate good again.
    """
    statuses = tuple(
        _status(certificate, evidence.get(position), result.at_time)
        for position, certificate in enumerate(result.certificates)
    )
    failures = (
        failure for status in statuses for failure in _failures(status, policy, None if as_of_now else result.at_time)
    )
    return Verdict(
        path=result.certificates,
        trust_anchor=result.trust_anchor,
        failures=(*result.failures, *failures),
        revocation=() if policy is RevocationPolicy.NONE else statuses,
        evaluated_at=result.at_time,
        policy=policy,
    )


def _status(certificate: PathCertificate, evidence: RevocationEvidence | None, at_time: datetime) -> RevocationStatus:
    return RevocationStatus(certificate, evidence, evidence is not None and evidence.is_fresh_at(at_time))


def _failures(status: RevocationStatus, policy: RevocationPolicy, at_time: datetime | None) -> Iterator[Failure]:
    certificate, evidence = status.certificate, status.evidence
    is_strict = policy is RevocationPolicy.REQUIRE_FRESH
    if evidence is None:
        if is_strict:
            yield certificate.failure(FailureReason.REVOCATION_UNKNOWN, "Nothing is known about its revocation.")
        return
    if evidence.is_never_issued:
        detail = "It is signed with our issuer's key, and our registry never issued it: the key may be stolen."
        yield certificate.failure(FailureReason.NOT_IN_REGISTRY, detail)
    if policy is RevocationPolicy.NONE:
        return
    revocation = evidence.revocation
    if revocation and (at_time is None or revocation.counts_at(at_time)):
        detail = f"It was revoked at {revocation.revoked_at:%Y-%m-%d %H:%M:%S} UTC ({revocation.reason.name})."
        yield certificate.failure(FailureReason.REVOKED, detail)
    if is_strict and evidence.next_update and not status.is_fresh:
        detail = f"What is known about its revocation was good until {evidence.next_update:%Y-%m-%d %H:%M:%S} UTC."
        yield certificate.failure(FailureReason.REVOCATION_STALE, detail)
