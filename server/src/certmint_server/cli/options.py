"""Options that several commands take, and how a passphrase is found."""

import sys
from pathlib import Path

import click

from certmint_server.config import Config, environment_passphrase, find_config, load_config
from certmint_server.errors import ConfigError

MAXIMUM_PASSPHRASE_BYTES = 4096

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="The configuration file or its folder. Default: certmint.toml here or in certmint-data.",
)


def read_config(config_path: Path | None) -> Config:
    """The configuration that a command was pointed at."""
    return load_config(find_config(config_path))


def issuer_passphrase(config: Config) -> bytes:
    """The passphrase of the issuing CA's key: from the file the configuration names, the environment or a prompt.

    Raises:
        ConfigError: there is none.
    """
    return find_passphrase(config.passphrase_file, "Passphrase of the issuing CA's key")


def find_passphrase(path: Path | None, prompt: str) -> bytes:
    """A passphrase from a file, the environment or a prompt.

    Raises:
        ConfigError: there is none, or the file cannot be read.
    """
    if path is not None:
        return read_passphrase(path)
    from_environment = environment_passphrase()
    if from_environment:
        return from_environment.encode()
    if not sys.stdin.isatty():
        raise ConfigError("No passphrase. Name a file in keys.passphrase_file, or set CERTMINT_PASSPHRASE.")
    return str(click.prompt(prompt, hide_input=True, err=True)).encode()


def read_passphrase(path: Path) -> bytes:
    """The passphrase in a file, without the line end.

    Raises:
        ConfigError: the file cannot be read, is empty or too large.
    """
    try:
        with path.open("rb") as file:
            passphrase = file.read(MAXIMUM_PASSPHRASE_BYTES + 1).rstrip(b"\r\n")
    except OSError as error:
        raise ConfigError(f"The passphrase file {path} cannot be read: {error.strerror}.") from error
    if not 0 < len(passphrase) <= MAXIMUM_PASSPHRASE_BYTES:
        raise ConfigError(f"The passphrase file {path} is empty or larger than {MAXIMUM_PASSPHRASE_BYTES} bytes.")
    return passphrase
