"""grpc.health.v1.Health."""

from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2


class HealthServicer(health.aio.HealthServicer):  # type: ignore[misc]  # grpc_health has no types
    """The health of each service. The library's own has no `List` (grpcio-health-checking 1.85)."""

    def __init__(self) -> None:
        super().__init__()
        self._names: set[str] = set()

    async def set(self, service: str, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        """Sets the health of a service."""
        self._names.add(service)
        await super().set(service, status)

    async def List(
        self,
        request: health_pb2.HealthListRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> health_pb2.HealthListResponse:
        """The health of all services."""
        asked = {name: health_pb2.HealthCheckRequest(service=name) for name in sorted(self._names)}
        return health_pb2.HealthListResponse(
            statuses={name: await self.Check(check, context) for name, check in asked.items()}
        )
