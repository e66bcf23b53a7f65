"""The `certmint` command.

Exit status: 0 done (or the chain is valid), 1 the chain is not valid, 2 the command line, a file or the identity
cannot be used, 3 the server refused or could not be reached.
"""

import os
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and gives its exit status."""
    # gRPC reads this when it is imported. Its own log lines say less than our one sentence.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # noqa: TID251 - see above
    from certmint.cli.program import run  # noqa: PLC0415 - see above

    return run(argv)
