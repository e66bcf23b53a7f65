"""Certmint's server: a certificate authority that services call over gRPC.

Read `wiring.py` for what is connected to what, and `issuance/service.py` for the life of a certificate.
"""

from certmint_server.config import prepare_grpc

# Before anything of this package imports grpc.
prepare_grpc()
