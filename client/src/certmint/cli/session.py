"""Who the command acts as, and whom it talks to."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from certmint.cli.arguments import UsageError
from certmint.client import Client
from certmint.credentials import server_address
from certmint.errors import CertmintError, from_rpc_error
from certmint.identity import Identity


@contextmanager
def connect(arguments: argparse.Namespace) -> Iterator[Client]:
    """The client that the options, or else the environment, ask for.

    Raises:
        CertmintError: a call failed. Where the server did not say so itself, the sentence has its address.
        UsageError: no identity is named.
        IdentityError: the identity cannot be used, or no server is named.
    """
    environment = os.environ  # noqa: TID251 - the one place where the command reads it
    directory = arguments.identity or environment.get("CERTMINT_IDENTITY", "")
    if not directory:
        raise UsageError("Name the folder of your identity with --identity DIR or in CERTMINT_IDENTITY.")
    identity = Identity.load(directory)
    server = server_address(identity, arguments.server or environment.get("CERTMINT_SERVER", ""))
    with Client(server, identity, timeout=arguments.timeout) as client:
        try:
            yield client
        except CertmintError as error:
            failure = error.__cause__
            if isinstance(failure, grpc.RpcError) and error.reason == failure.code().name:
                raise from_rpc_error(failure, request_method=error.request_method, server=server) from failure
            raise
