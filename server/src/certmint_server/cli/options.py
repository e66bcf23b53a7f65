"""Options that several commands take, and how a passphrase is found."""

import sys
from pathlib import Path

import click

from certmint_server.config import Config, environment_passphrase, find_config, load_config, read_private
from certmint_server.errors import ConfigError

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
    from_environment = environment_passphrase()
    if config.passphrase_file is None and from_environment:
        return from_environment
    return find_passphrase(
        config.passphrase_file,
        "Passphrase of the issuing CA's key",
        "Name a file in keys.passphrase_file, or set CERTMINT_PASSPHRASE.",
    )


def find_passphrase(path: Path | None, prompt: str, way_out: str) -> bytes:
    """A passphrase from a file or a prompt.

    Raises:
        ConfigError: there is none, or the file cannot be read.
    """
    if path is not None:
        return read_passphrase(path)
    if not sys.stdin.isatty():
        raise ConfigError(f"No passphrase. {way_out}")
    return str(click.prompt(prompt, hide_input=True, err=True)).encode()


def read_passphrase(path: Path) -> bytes:
    """The passphrase in a file, without the line end.

    Raises:
        ConfigError: the file cannot be read, others may read it, or it is empty or too large.
    """
    passphrase = read_private(path, "passphrase").rstrip(b"\r\n")
    if not passphrase:
        raise ConfigError(f"The passphrase file {path} is empty.")
    return passphrase
