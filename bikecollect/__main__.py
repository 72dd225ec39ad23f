"""The command ``bikecollect``: from the process to the commands, and to its code."""

# Only modules already loaded by Python are imported here: `leave_current_folder` first.
import gc
import os
import sys

ROOM = 16 * 1024 * 1024
"""Bytes that the bytecode of all modules needs, with some to spare."""
UNAVAILABLE, IO = 69, 74
"""`ExitCode.UNAVAILABLE`, `ExitCode.IO`, which may be in a module that is missing."""
NO_MEMORY = ("failed to map segment", "annot allocate memory")
"""What the loader of shared libraries says if they find no room."""


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        _main()
    except KeyboardInterrupt:  # while the first modules are loaded
        os._exit(130)
    except (ImportError, SyntaxError, OSError, MemoryError) as error:
        text, code = _unloaded(error)
        sys.stderr.write(f"bikecollect: {text}\n")
        sys.stderr.flush()
        os._exit(code)


def _unloaded(error: Exception) -> tuple[str, int]:
    """Return why the program cannot be loaded, and the exit code."""
    words = str(error)
    if isinstance(error, MemoryError) or any(lack in words for lack in NO_MEMORY):
        hint = "raise the limit (`ulimit -v`, the container's)"
        return f"not enough memory to load the program; {hint}", IO
    if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
        return f"cannot load the program: {words}; check its disk", IO
    hint = "if it is being upgraded, the next run will work, else install bikecollect"
    return f"the installation is not complete ({words}); {hint} again", UNAVAILABLE


def _main() -> None:
    leave_current_folder()
    leave_bytecode_whole()
    # A run lives for some tenths of a second: collecting cycles costs a tenth of it.
    gc.disable()
    from bikecollect.core import process  # the path comes first

    process.prepare()
    process.end_in_order()
    try:
        code = _run()
    except KeyboardInterrupt:
        code = 130
    # Nothing is left to tear down.
    os._exit(process.Ending.code or code)


def _run() -> int:
    """Run the command; return its exit code."""
    from bikecollect.cli.main import run  # descriptors come first

    code = run(sys.argv[1:])
    # Data and exit code do not depend on the output: a full or closed
    # stdout must not turn into another exit code.
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
    return code


def leave_current_folder() -> None:
    """Import nothing from the current folder: others may be able to write there.

    ``python -m`` and ``python -c`` put it first, and so does an empty or relative part
    of PYTHONPATH; what follows the standard library was installed. Where this
    package itself was loaded from, its neighbours may come from too, but last.
    """
    library = os.path.dirname(os.__file__)
    count = sys.path.index(library) if library in sys.path else 0
    unsafe = _relative_places()
    sys.path[:count] = [path for path in sys.path[:count] if path not in unsafe]
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if own not in sys.path:
        sys.path.append(own)


def leave_bytecode_whole() -> None:
    """Let Python compile nothing into files if they may be cut, here and in children.

    Where files may not grow, it keeps the part of a module's bytecode that was written,
    and each later run ends with EOFError: https://github.com/python/cpython/issues/126606
    """
    import resource

    place = os.statvfs(os.path.dirname(os.path.abspath(__file__)))
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    limits = [place.f_bavail * place.f_frsize, *([limit] if limit >= 0 else [])]
    if min(limits) < ROOM:
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


def _relative_places() -> set[str]:
    """Return the import paths that are relative to the current folder."""
    parts = ["", *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    relative = {path for path in parts if not os.path.isabs(path)}
    try:
        return relative | {os.path.abspath(path) for path in relative}
    except FileNotFoundError:
        return relative  # the current folder was removed


if __name__ == "__main__":
    main()
