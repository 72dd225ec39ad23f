"""The edge: every error becomes one line on stderr and its exit code."""

import io
from collections.abc import Sequence
from contextlib import suppress

import click

from bikecollect.cli import cli
from bikecollect.cli.options import Screen, complain
from bikecollect.core.errors import BikecollectError, ExitCode
from bikecollect.core.text import message, visible


def run(arguments: Sequence[str]) -> int:
    """Run the command line *arguments*; return the exit code, never raise."""
    try:
        result = cli.main(list(arguments), "bikecollect", standalone_mode=False)
    except (click.ClickException, click.exceptions.Abort) as error:
        return _usage(error)
    except SystemExit:
        return ExitCode.OK  # click's way to say that the reader of a pipe has gone
    except BikecollectError as error:
        complain(str(error))
        return error.exit_code
    except OSError as error:
        return _refused(error)
    except Exception as error:  # noqa: BLE001 - no traceback reaches a user
        return _bug(error)
    code = result if isinstance(result, int) else ExitCode.OK
    return _written(code)


def _usage(error: click.ClickException | click.exceptions.Abort) -> int:
    if isinstance(error, click.exceptions.Abort):
        return ExitCode.SIGINT
    shown = io.StringIO()
    error.show(shown)
    with suppress(OSError):
        click.echo(visible(shown.getvalue(), lines=True), nl=False, err=True)
    return ExitCode.USAGE


def _written(code: int) -> int:
    """Return *code*, but where a good one stands for a result that was not written."""
    if Screen.lost is None:
        return code
    refused = _refused(Screen.lost)
    return refused if code in {ExitCode.OK, ExitCode.NO} else code


def _refused(error: OSError) -> int:
    if isinstance(error, BrokenPipeError):
        return ExitCode.OK  # the reader, `head` perhaps, has seen enough
    what = error.filename or "the output cannot be written"
    complain(message(f"{what}: {error.strerror or error}"))
    return ExitCode.IO


def _bug(error: Exception) -> int:
    import logging  # only on the way to an error

    logging.getLogger("bikecollect").debug("a bug", exc_info=error)
    complain(message(f"a bug: {type(error).__name__}: {error} (-vv shows where)"))
    return ExitCode.SOFTWARE
