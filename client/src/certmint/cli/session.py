"""Who the command acts as, and whom it talks to."""

import argparse
import os

from certmint.cli.arguments import UsageError
from certmint.client import Client
from certmint.credentials import server_address
from certmint.identity import Identity


def connect(arguments: argparse.Namespace) -> Client:
    """The client that the options, or else the environment, ask for.

    Raises:
        UsageError: no identity is named.
        IdentityError: the identity cannot be used, or no server is named.
    """
    environment = os.environ  # noqa: TID251 - the one place where the command reads it
    directory = arguments.identity or environment.get("CERTMINT_IDENTITY", "")
    if not directory:
        raise UsageError("Name the folder of your identity with --identity DIR or in CERTMINT_IDENTITY.")
    identity = Identity.load(directory)
    server = server_address(identity, arguments.server or environment.get("CERTMINT_SERVER", ""))
    return Client(server, identity, timeout=arguments.timeout)
