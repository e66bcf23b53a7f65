"""The version, of both distributions."""

from importlib.metadata import version

VERSION = version("certmint-server")
