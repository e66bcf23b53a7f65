"""Certmint's server: a certificate authority that services call over gRPC.

Read `wiring.py` for what is connected to what, and `issuance/service.py` for the life of a certificate.
"""

from certmint_server.config import restrict_tls_to_1_3

# grpcio has no option for the least TLS version. With an ECDSA certificate, a list of cipher suites that holds only an
# RSA one leaves TLS 1.2 without a common suite, and TLS 1.3 untouched. grpc reads it once, when it is imported: here is
# the last place before that. The interceptor refuses anything but TLS 1.3 all the same.
restrict_tls_to_1_3()
