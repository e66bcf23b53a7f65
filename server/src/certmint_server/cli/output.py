"""What people read on the console; what scripts read goes to standard output as JSON."""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import click


def say(text: str = "") -> None:
    """A line for people."""
    click.echo(text, err=True)


def heading(text: str) -> None:
    """A line that stands out."""
    click.echo(click.style(text, bold=True), err=True)


def fact(name: str, value: object) -> None:
    """A named value."""
    click.echo(f"  {click.style(f'{name:<18}', dim=True)} {value}", err=True)


def command(text: str) -> None:
    """A command to type next."""
    click.echo(f"  {click.style(text, fg='cyan')}", err=True)


def fail(text: str) -> None:
    """Why it did not work."""
    click.echo(f"{click.style('error:', fg='red', bold=True)} {text}", err=True)


def as_json(value: Mapping[str, object]) -> None:
    """The outcome, for scripts."""
    click.echo(json.dumps(value, indent=2, default=str))


def program(name: str) -> str:
    """A program of ours as one would type it from here."""
    return name if shutil.which(name) else shown(Path(sys.executable).parent / name)


def shown(path: Path) -> str:
    """A path as one would type it from here."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
