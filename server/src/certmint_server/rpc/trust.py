"""TrustService: decode, call, encode."""

from typing import Any

import grpc

from certmint.ca.v1 import resources_pb2
from certmint.ca.v1 import trust_service_pb2 as pb
from certmint.ca.v1.trust_service_pb2_grpc import TrustServiceServicer
from certmint_server.issuers.issuer import Issuers


class TrustServicer(TrustServiceServicer):
    """What to trust."""

    def __init__(self, issuers: Issuers) -> None:
        self._issuers = issuers

    async def GetTrustBundle(
        self,
        request: pb.GetTrustBundleRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> pb.GetTrustBundleResponse:
        """The roots of the trust domain."""
        authority = self._issuers.authority
        bundle = resources_pb2.TrustBundle(
            trust_domain=authority.trust_domain,
            sequence=authority.trust_bundle_sequence,
            roots_der=[root.certificate_der for root in self._issuers.roots()],
        )
        return pb.GetTrustBundleResponse(trust_bundle=bundle)
