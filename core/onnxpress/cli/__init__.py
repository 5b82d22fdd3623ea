"""The command line: parse, call, print.  Nothing is computed here."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(args: Sequence[str] | None = None) -> None:
    """Run ``onnxpress`` and leave with its exit code.

    Args:
        args: What was typed after the name; ``sys.argv`` by default.
    """
    try:
        from onnxpress.cli.app import app

        app(None if args is None else list(args), prog_name="onnxpress")
    except KeyboardInterrupt:  # before there was anybody to report it
        sys.exit(130)
