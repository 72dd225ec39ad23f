"""The command ``bikecollect``: from the process to the commands, and to its code."""

import os
import sys

from bikecollect import process


def main() -> None:
    """Run the command line and end the process with its exit code."""
    process.prepare()
    from bikecollect.cli import edge  # noqa: PLC0415 - descriptors come first

    code = edge.run(sys.argv[1:])
    # Whatever became of the output, the data and the code stand: a full or closed
    # stdout must not turn into another exit code when the interpreter flushes it.
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


if __name__ == "__main__":
    main()
