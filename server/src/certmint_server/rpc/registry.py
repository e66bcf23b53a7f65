"""RegistryService: decode, call, encode."""

from typing import Any

import grpc

from certmint.ca.v1 import registry_service_pb2 as pb
from certmint.ca.v1.registry_service_pb2_grpc import RegistryServiceServicer
from certmint_server.clock import Clock
from certmint_server.errors import CertificateNotFoundError, IdentityNotAllowedError
from certmint_server.issuers.issuer import Issuers
from certmint_server.registry.callers import Caller
from certmint_server.registry.certificate import CertificateStatus, parse_serial_hex, serial_hex
from certmint_server.registry.certificates import CertificateFilter, CertificateStore
from certmint_server.registry.names import parse_dns_name
from certmint_server.rpc import wire
from certmint_server.rpc.call import current_caller, log_serial
from certmint_server.rpc.page_token import decode_page_key, encode_page_key, page_limit

Context = grpc.aio.ServicerContext[Any, Any]


class RegistryServicer(RegistryServiceServicer):
    """What was issued."""

    def __init__(self, certificates: CertificateStore, issuers: Issuers, clock: Clock) -> None:
        self._certificates = certificates
        self._issuers = issuers
        self._clock = clock

    async def GetCertificate(
        self,
        request: pb.GetCertificateRequest,
        context: Context,
    ) -> pb.GetCertificateResponse:
        """One certificate: the caller's own, or any for those who see all."""
        serial = parse_serial_hex(request.serial_hex, field_name="serial_hex")
        issuer = self._issuers.get(request.issuer_id)
        record = await self._certificates.get_certificate(issuer.issuer_id, serial)
        caller = current_caller()
        if record is None or not (caller.sees_all or record.identity == caller.identity):
            raise CertificateNotFoundError("There is no such certificate, or it is not yours.", field="serial_hex")
        log_serial(serial_hex(serial))
        return pb.GetCertificateResponse(
            certificate=wire.certificate_message(record, self._clock.now(), with_der=True),
            chain_der=(record.certificate_der, *self._issuers.chain_der(issuer)),
        )

    async def ListCertificates(
        self,
        request: pb.ListCertificatesRequest,
        context: Context,
    ) -> pb.ListCertificatesResponse:
        """Certificates that match: the caller's own, or all for those who see all."""
        page = await self._certificates.list_certificates(
            self._filter(request, current_caller()),
            after=decode_page_key(request.page_token, request),
            limit=page_limit(request.page_size),
        )
        now = self._clock.now()
        return pb.ListCertificatesResponse(
            certificates=[wire.certificate_message(record, now, with_der=False) for record in page.certificates],
            next_page_token=encode_page_key(page.next_key, request),
        )

    def _filter(self, request: pb.ListCertificatesRequest, caller: Caller) -> CertificateFilter:
        dns_kind = request.WhichOneof("dns")
        name = parse_dns_name(getattr(request, dns_kind), field=dns_kind) if dns_kind else None
        return CertificateFilter(
            now=self._clock.now(),
            identity=_visible_identity(wire.text(request.identity, field="identity"), caller),
            dns_name=name if dns_kind == "dns_name" else None,
            dns_name_suffix=name if dns_kind == "dns_name_suffix" else None,
            status=wire.number(CertificateStatus, request.status, field="status") if request.status else None,
            profile=wire.text(request.profile, field="profile") or None,
            not_after_from=wire.moment(request.not_after_from, field="not_after_from")
            if request.HasField("not_after_from")
            else None,
            not_after_until=wire.moment(request.not_after_until, field="not_after_until")
            if request.HasField("not_after_until")
            else None,
        )


def _visible_identity(identity: str, caller: Caller) -> str | None:
    if caller.sees_all:
        return identity or None
    if identity not in ("", caller.identity):
        raise IdentityNotAllowedError("Only auditors and operators list the certificates of others.", field="identity")
    return caller.identity
