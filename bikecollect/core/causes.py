"""Why a slot is missing: the words of causes, and what they mean."""

MEANINGS = {
    "asleep": "this machine slept (suspended)",
    "bug": "a bug of ours; the traceback is in the log",
    "clock": "the machine's clock was set",
    "credentials": "the feed refused our key (401, 403)",
    "damaged": "a block was there, its file no longer has it",
    "disk": "the disk refused",
    "host-off": "this machine was off",
    "interrupted": "the run was asked to end by a signal",
    "killed": "the run was killed before it ended",
    "ledger": "the ledger refused",
    "lock": "another process held the system's lock",
    "network": "no answer from the feed",
    "not-collecting": "collecting had not begun yet",
    "not-mounted": "the data disk was not there",
    "not-started": "cron did not start a run",
    "protocol": "TLS, a redirect, an address that is not allowed, or broken HTTP",
    "rate-limited": "the feed asked us to stay away",
    "rejected": "the payload was not understood; it is kept",
    "settings": "the settings could not be used",
    "unknown": "the ledger was lost, and the runs with it",
}
"""What each cause means; the part behind a colon says more."""


def meaning(cause: str) -> str:
    """Return what *cause* means, for people.

    >>> meaning("rejected: drift")
    'the payload was not understood; it is kept'
    """
    word = cause.partition(":")[0]
    return MEANINGS.get(word, "the feed's answer" if word[:5] == "http-" else "")
