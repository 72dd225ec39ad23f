"""Run the command line; convert every error to a line on stderr and an exit code."""

import io
from collections.abc import Sequence
from contextlib import suppress

import click

from bikecollect.cli import cli
from bikecollect.cli.printing import Screen, complain
from bikecollect.core.errors import (
    BikecollectError,
    ExitCode,
    Interrupted,
    resource_hint,
)
from bikecollect.core.process import Ending
from bikecollect.core.text import message, visible

DUCKDB_ERROR = "OutOfMemoryException"
"""The name of DuckDB's error; the module is an extra, and heavy."""


def run(arguments: Sequence[str]) -> int:
    """Run the command line *arguments*; return the exit code.

    Raises an error only if a module is missing, cut, or removed while it is loaded.
    """
    try:
        result = cli.main(list(arguments), "bikecollect", standalone_mode=False)
    except (click.ClickException, click.exceptions.Abort) as error:
        return _usage(error)
    except SystemExit:
        return ExitCode.OK  # click's way to report a closed pipe
    except BikecollectError as error:
        for text in (str(error), *getattr(error, "__notes__", ())):
            complain(text)
        return error.exit_code
    except (ImportError, SyntaxError):
        raise  # for `__main__`: other modules may be missing, too
    except OSError as error:
        if _is_of_module(error):
            raise
        return _io_error(error)
    except Exception as error:  # noqa: BLE001 - no traceback reaches a user
        return _no_memory(error) if is_out_of_memory(error) else _bug(error)
    code = result if isinstance(result, int) else ExitCode.OK
    return _checked(code)


def _is_of_module(error: OSError) -> bool:
    """Return whether *error* is that a module was removed after it was found.

    It is raised by Python's import itself.
    """
    from traceback import walk_tb  # only needed for an error

    *_, (frame, _) = walk_tb(error.__traceback__)
    is_import = frame.f_code.co_filename.startswith("<frozen importlib")
    return is_import and isinstance(error, FileNotFoundError)


def _usage(error: click.ClickException | click.exceptions.Abort) -> int:
    if isinstance(error, click.exceptions.Abort):
        if Ending.code:  # not Ctrl-C, which the user knows of
            complain(str(Interrupted(Ending.signum)))
        return ExitCode.SIGINT
    text = io.StringIO()
    (_misplaced(error) or error).show(text)
    with suppress(OSError):
        shown = visible(text.getvalue().expandtabs(2), lines=True)
        click.echo(shown, nl=False, err=True)
    return ExitCode.USAGE


def _misplaced(error: click.ClickException) -> click.ClickException | None:
    """Return the error for an option of the group after the command, else None."""
    if not isinstance(error, click.NoSuchOption) or error.ctx is None:
        return None
    option, ctx = error.option_name, error.ctx
    param = next((param for param in cli.params if option in param.opts), None)
    if param is None:
        return None
    is_flag = isinstance(param, click.Option) and (param.is_flag or param.count)
    value = "" if is_flag else f" {param.metavar or 'VALUE'}"
    command = " ".join(ctx.command_path.split()[1:])
    where = f"Write it before the command: bikecollect {option}{value} {command}"
    return click.NoSuchOption(option, f"{error.message} {where}", ctx=ctx)


def _checked(code: int) -> int:
    """Return *code*, or 74 instead of 0 if a result could not be printed."""
    if Screen.lost is None:
        return code
    io_code = _io_error(Screen.lost)
    return io_code if code in {ExitCode.OK, ExitCode.NO} else code


def _io_error(error: OSError) -> int:
    if isinstance(error, BrokenPipeError):
        return ExitCode.OK  # the reader, such as `head`, closed the pipe
    what = error.filename or "cannot write the output"
    text = f"{what}: {error.strerror or error}"
    complain(message(text + resource_hint(text)))
    return ExitCode.IO


def is_out_of_memory(error: Exception) -> bool:
    """Return whether *error* is the out-of-memory error of Python or DuckDB."""
    return isinstance(error, MemoryError) or type(error).__name__ == DUCKDB_ERROR


def _no_memory(error: Exception) -> int:
    first = str(error).partition("\n")[0]
    what = f"not enough memory: {first}" if first else "not enough memory"
    hint = "raise the limit (`ulimit -v`, the container's), or ask for fewer days"
    complain(message(f"{what}; {hint}"))
    return ExitCode.IO


def _bug(error: Exception) -> int:
    import logging  # only needed for an error

    from bikecollect.cli.output_file import is_stopped

    if is_stopped(error):
        return ExitCode.SIGINT

    logging.getLogger("bikecollect").debug("a bug", exc_info=error)
    complain(message(f"a bug: {type(error).__name__}: {error} (-vv shows where)"))
    return ExitCode.SOFTWARE
