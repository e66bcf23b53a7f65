"""`certmint-server`: the commands of the host."""

import sys

import click

from certmint_server.cli.init import init
from certmint_server.cli.issuer import issuer
from certmint_server.cli.operator import operator
from certmint_server.cli.output import fail
from certmint_server.cli.serve import check_config, migrate, serve
from certmint_server.errors import CertmintError, ConfigError
from certmint_server.version import VERSION


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, prog_name="certmint-server")
def cli() -> None:
    """A certificate authority that services call over gRPC.

    \b
    Begin with:
      certmint-server init --dir certmint-data --trust-domain example.org
      certmint-server serve --config certmint-data
    """


for command in (init, serve, migrate, check_config, operator, issuer):
    cli.add_command(command)


def main() -> None:
    """Runs the command line; a refusal is one sentence and exit code 1."""
    try:
        cli()
    except (ConfigError, CertmintError) as error:
        fail(str(error))
        sys.exit(1)
    except OSError as error:  # a disk that is full, a folder that may not be written
        fail(f"{error.strerror or error}: {error.filename}" if error.filename else str(error))
        sys.exit(1)
