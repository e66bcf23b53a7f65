"""The command line, its commands, and what becomes of their failures."""

import argparse
import os
import sys
from collections.abc import Sequence

from certmint._version import __version__
from certmint.cli import certificates, profiles, registrations, signing, trust
from certmint.cli.arguments import UsageError, add_global_options
from certmint.cli.output import clean, show
from certmint.cli.session import connect
from certmint.errors import CertmintError
from certmint.identity import IdentityError

_UNUSABLE = 2
_REFUSED = 3
_INTERRUPTED = 130

_EPILOG = """\
Exit status: 0 done, 1 the chain is not valid (verify-chain), 2 the command line, a file or the identity cannot be
used, 3 the server refused or could not be reached.

Examples:
  certmint --identity /etc/payments/identity configuration
  certmint sign-csr --csr request.pem --out chain.pem
  certmint certificate list --status valid --json
"""


def run(argv: Sequence[str] | None = None) -> int:
    """Does what the command line asks, and gives the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        with connect(arguments) as client:
            answer = arguments.run(client, arguments)
        show(answer, as_json=arguments.json)
    except (UsageError, IdentityError) as error:
        return _fail(str(error), status=_UNUSABLE)
    except CertmintError as error:
        return _fail(*_refusal(error), status=_REFUSED)
    except BrokenPipeError:
        # The reader of our output left; what the interpreter still flushes at its end must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _UNUSABLE
    except OSError as error:
        return _fail(f"{error.filename or 'A file'}: {error.strerror}.", status=_UNUSABLE)
    except KeyboardInterrupt:
        return _INTERRUPTED
    return int(answer.exit_status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="certmint",
        description="Asks a Certmint certificate authority for certificates, and administers one.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"certmint {__version__}")
    add_global_options(parser, outermost=True)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (signing, certificates, trust, registrations, profiles):
        module.add_commands(commands)
    return parser


def _refusal(error: CertmintError) -> list[str]:
    named = [field for field, sentence in error.fields.items() if sentence == error.message]
    details = [f"  {field}: {sentence}" for field, sentence in error.fields.items() if field not in named]
    return [f"{error.message} ({', '.join([error.reason, *named])})", *details]


def _fail(sentence: str, *details: str, status: int) -> int:
    for line in (f"error: {sentence}", *details):
        sys.stderr.write(f"{clean(line)}\n")
    return status
