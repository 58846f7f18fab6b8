"""The command line: `retempo COMMAND`."""

from retempo.cli.app import main

__all__ = ["main"]
