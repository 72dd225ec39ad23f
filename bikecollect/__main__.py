"""The command ``bikecollect``: from the process to the commands, and to its code."""

import gc
import os
import sys
from contextlib import suppress

from bikecollect.core import process


def main() -> None:
    """Run the command line and end the process with its exit code."""
    # A run lives for some tenths of a second: collecting cycles costs a tenth of it.
    gc.disable()
    process.prepare()
    from bikecollect.cli import main as edge  # noqa: PLC0415 - descriptors come first

    code = edge.run(sys.argv[1:])
    # Whatever became of the output, the data and the code stand: a full or closed
    # stdout must not turn into another exit code. And nothing is left to tear down.
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
