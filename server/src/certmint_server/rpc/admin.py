"""AdminService: decode, call, encode."""

from typing import Any

import grpc

from certmint.ca.v1 import admin_service_pb2 as pb
from certmint.ca.v1.admin_service_pb2_grpc import AdminServiceServicer
from certmint_server.issuance.profiles import Profiles
from certmint_server.registry.registrations import Registrations
from certmint_server.rpc import wire
from certmint_server.rpc.call import current_caller
from certmint_server.rpc.page_token import decode_last, encode_last, page_limit

Context = grpc.aio.ServicerContext[Any, Any]


class AdminServicer(AdminServiceServicer):
    """Who may hold what."""

    def __init__(self, registrations: Registrations, profiles: Profiles) -> None:
        self._registrations = registrations
        self._profiles = profiles

    async def CreateRegistration(
        self,
        request: pb.CreateRegistrationRequest,
        context: Context,
    ) -> pb.CreateRegistrationResponse:
        """Registers an identity."""
        grant = wire.grant_value(request.registration)
        registration = await self._registrations.create(grant, by=current_caller().identity)
        return pb.CreateRegistrationResponse(registration=wire.registration_message(registration))

    async def GetRegistration(
        self,
        request: pb.GetRegistrationRequest,
        context: Context,
    ) -> pb.GetRegistrationResponse:
        """One registration."""
        registration = await self._registrations.get(wire.text(request.identity, field="identity"))
        return pb.GetRegistrationResponse(registration=wire.registration_message(registration))

    async def ListRegistrations(
        self,
        request: pb.ListRegistrationsRequest,
        context: Context,
    ) -> pb.ListRegistrationsResponse:
        """A page of registrations, by identity."""
        limit = page_limit(request.page_size)
        after = wire.text(decode_last(request.page_token), field="page_token")
        found = await self._registrations.list(after=after, limit=limit + 1)
        more = len(found) > limit
        return pb.ListRegistrationsResponse(
            registrations=[wire.registration_message(registration) for registration in found[:limit]],
            next_page_token=encode_last(found[limit - 1].grant.identity) if more else "",
        )

    async def UpdateRegistration(
        self,
        request: pb.UpdateRegistrationRequest,
        context: Context,
    ) -> pb.UpdateRegistrationResponse:
        """Replaces a registration."""
        registration = await self._registrations.update(
            wire.grant_value(request.registration),
            version=request.registration.version,
            by=current_caller().identity,
        )
        return pb.UpdateRegistrationResponse(registration=wire.registration_message(registration))

    async def DeleteRegistration(
        self,
        request: pb.DeleteRegistrationRequest,
        context: Context,
    ) -> pb.DeleteRegistrationResponse:
        """Removes a registration."""
        identity = wire.text(request.identity, field="identity")
        await self._registrations.delete(identity, version=request.version, by=current_caller().identity)
        return pb.DeleteRegistrationResponse()

    async def GetProfile(self, request: pb.GetProfileRequest, context: Context) -> pb.GetProfileResponse:
        """The newest version of a profile."""
        return pb.GetProfileResponse(profile=wire.profile_message(await self._profiles.get(request.name)))

    async def ListProfiles(
        self,
        request: pb.ListProfilesRequest,
        context: Context,
    ) -> pb.ListProfilesResponse:
        """The newest version of every profile."""
        return pb.ListProfilesResponse(profiles=map(wire.profile_message, await self._profiles.list()))

    async def ApplyProfile(
        self,
        request: pb.ApplyProfileRequest,
        context: Context,
    ) -> pb.ApplyProfileResponse:
        """Adds a version of a profile, or says what would change."""
        applied = await self._profiles.apply(
            wire.profile_value(request.profile), by=current_caller().identity, dry_run=request.dry_run
        )
        return pb.ApplyProfileResponse(
            profile=wire.profile_message(applied.profile), changes=map(wire.change_message, applied.changes)
        )
