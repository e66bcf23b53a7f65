import pytest
from tests.unit.client.verification.hierarchy import Hierarchy, KeyKind, hierarchy


@pytest.fixture(params=list(KeyKind), ids=[kind.value for kind in KeyKind])
def kind(request: pytest.FixtureRequest) -> KeyKind:
    """How the issuers sign. The first four are decided by the library, the others by our own builder."""
    value = request.param
    assert isinstance(value, KeyKind)
    return value


@pytest.fixture
def good(kind: KeyKind) -> Hierarchy:
    """A chain with nothing against it."""
    return hierarchy(kind)
