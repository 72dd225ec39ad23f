"""How a run ends: by its payload's fate, by an error, or by another run's work."""

from dataclasses import replace

from bikecollect.core.errors import BikecollectError, Outcome, RateLimited
from bikecollect.core.run import Done, Notice, Run
from bikecollect.core.slots import stamp

LONGEST_REST = 3_600.0


def respect(text: str, now: float) -> None:
    """Raise RateLimited where the feed asked us to stay away until later than *now*."""
    not_before = float(text or 0)
    if now < not_before < now + LONGEST_REST:
        wait = not_before - now
        raise RateLimited(
            f"the feed asked for a rest; {wait:.0f} s of it are left",
            not_before=not_before,
        )


def payload_name(run: Run) -> str:
    """Return the file name of the payload of *run*."""
    return f"{stamp(run.slot)}.{run.run_id}.zip"


def source(*, mine: bool) -> str:
    """Return the word for where a block comes from."""
    return "fetch" if mine else "recovery"


def concluded(run: Run, done: Done) -> Run:
    """Return *run*, ended as its payload was."""
    return replace(
        run.flagged(*done.flags).noticed(*done.notices),
        outcome=done.outcome,
        cause=done.cause,
        rows=done.rows,
        stations=done.stations,
        file=done.file,
        error=done.error,
    )


def named_dead(run: Run, dead: list[Run]) -> Run:
    """Return *run* with a notice for each killed run among *dead*."""
    killed = [each for each in dead if each.outcome is Outcome.KILLED]
    return run.noticed(*(Notice("missed", each.error) for each in killed))


def noticed_text(run: Run, kind: str, text: str) -> Run:
    """Return *run* with a notice of *kind*, where there is a *text*."""
    return run.noticed(Notice(kind, text)) if text else run


def unsettled(run: Run, error: BikecollectError) -> Run:
    """Return *run*, whose payload waits for the next run because of *error*."""
    if run.outcome is not None:
        return run.noticed(Notice(error.cause, str(error)))
    if error.cause == "ledger-busy":
        busy = replace(run, outcome=Outcome.DEFERRED, cause=error.cause)
        return replace(busy, error=str(error)).noticed(Notice("lock", str(error)))
    return run.failed(error).noticed(Notice(error.cause, str(error)))
