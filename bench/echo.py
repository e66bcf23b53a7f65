"""A bare grpc.aio server over mTLS: what a call costs before a CA does anything.

    python -m bench.echo IDENTITY_FOLDER

Answers SignCSR with 1,600 bytes; prints its port.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc
import uvloop

from certmint.ca.v1.certificate_authority_service_pb2 import SignCSRRequest, SignCSRResponse
from certmint_server.cli.options import issuer_passphrase
from certmint_server.clock import SystemClock
from certmint_server.config import load_config
from certmint_server.host import issue_server_certificate
from certmint_server.serving import tls_material
from certmint_server.wiring import open_services


async def sign_csr(_request: SignCSRRequest, _context: Any) -> SignCSRResponse:
    return SignCSRResponse(chain_der=[b"x" * 800, b"y" * 800])


async def main(data: Path) -> None:
    config = load_config(data / "certmint.toml")
    async with open_services(config, SystemClock(), issuer_passphrase(config)) as services:
        pair = await issue_server_certificate(services, config.names)
        material = tls_material(services, pair)
    server = grpc.aio.server()
    method = grpc.unary_unary_rpc_method_handler(
        sign_csr,
        request_deserializer=SignCSRRequest.FromString,
        response_serializer=SignCSRResponse.SerializeToString,
    )
    handler = grpc.method_handlers_generic_handler("certmint.ca.v1.CertificateAuthorityService", {"SignCSR": method})
    server.add_generic_rpc_handlers((handler,))
    credentials = grpc.ssl_server_credentials(
        [(material.private_key_pem, material.chain_pem)], material.client_roots_pem, require_client_auth=True
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(Path(sys.argv[1])))
