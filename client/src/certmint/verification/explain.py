"""Everything that is wrong with one path: what decides in our own builder, and explains a refusal of the library."""

from collections.abc import Iterator, Sequence
from typing import Final

from cryptography import x509

from certmint.verification.criteria import Criteria
from certmint.verification.failure import FailureReason, Fault, PlacedFault
from certmint.verification.name_constraints import constraint_faults, directory_constraint_faults
from certmint.verification.profile import (
    UNREADABLE_EXTENSIONS,
    issuer_faults,
    leaf_faults,
    name_faults,
    read_extensions,
)
from certmint.verification.signature import key_fault, signature_algorithm_fault

MAXIMUM_INTERMEDIATES: Final = 8


def path_faults(path: Sequence[x509.Certificate], criteria: Criteria) -> tuple[PlacedFault, ...]:
    """What is wrong with `path`, leaf first up to the anchor or as far as it goes; its signatures verify."""
    return (
        *(PlacedFault(0, fault) for fault in leaf_faults(path[0], criteria)),
        *_issuer_faults(path, criteria),
        *_signature_algorithm_faults(path),
        *directory_constraint_faults(path),
        *constraint_faults(path),
        *_length_faults(path),
    )


def faults_beyond_library(path: Sequence[x509.Certificate], criteria: Criteria) -> tuple[PlacedFault, ...]:
    """What is wrong with a path that the library accepts, by rules that it does not have.

    It does not look at the keys of leaves, nor read extensions that it does not use; it overlooks constraints on
    directory names that are not critical, and compares no name unless the purpose is SERVER_AUTH.
    """
    unreadable = [place for place, certificate in enumerate(path) if read_extensions(certificate) is None]
    if unreadable:
        return tuple(PlacedFault(place, UNREADABLE_EXTENSIONS) for place in unreadable)
    keys = [(place, key_fault(certificate)) for place, certificate in enumerate(path)]
    return (
        *(PlacedFault(place, fault) for place, fault in keys if fault),
        *(PlacedFault(0, fault) for fault in name_faults(path[0], criteria)),
        *directory_constraint_faults(path),
    )


def _issuer_faults(path: Sequence[x509.Certificate], criteria: Criteria) -> Iterator[PlacedFault]:
    for position, issuer in enumerate(path[1:], start=1):
        for fault in issuer_faults(issuer, criteria, intermediates_below=position - 1):
            yield PlacedFault(position, fault)


def _signature_algorithm_faults(path: Sequence[x509.Certificate]) -> Iterator[PlacedFault]:
    for position, issuer in enumerate(path[1:]):
        fault = signature_algorithm_fault(path[position], issuer)
        if fault:
            yield PlacedFault(position, fault)


def _length_faults(path: Sequence[x509.Certificate]) -> Iterator[PlacedFault]:
    intermediates = len(path) - 2
    if intermediates > MAXIMUM_INTERMEDIATES:
        detail = f"{intermediates} intermediates lie between leaf and anchor; {MAXIMUM_INTERMEDIATES} are accepted."
        yield PlacedFault(MAXIMUM_INTERMEDIATES + 1, Fault(FailureReason.TOO_LONG, detail))
