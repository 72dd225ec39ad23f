"""Builds the parts that copy the history to the mirror and read it there."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bikecollect.archive.mirror.address import MirrorAddress
from bikecollect.core.errors import (
    BikecollectError,
    MirrorDenied,
    MirrorUnavailable,
    StorageError,
    UsageError,
)
from bikecollect.core.process import Times
from bikecollect.setup.settings import Settings

if TYPE_CHECKING:
    from bikecollect.archive.mirror.object_store import ObjectStore
    from bikecollect.archive.mirror.push import MirrorStep

FAILED = "failed"


def mirror_store(settings: Settings) -> "ObjectStore":
    """Return the mirror of *settings*; raises UsageError if none is set."""
    from bikecollect.archive.mirror.object_store import ObjectStore  # an extra

    if not settings.archive.mirror:
        raise UsageError(
            'no mirror is set: add mirror = "s3://bucket/prefix" to [archive] in the '
            "settings"
        )
    return ObjectStore(MirrorAddress.parse(settings.archive.mirror))


class MirrorCopying:
    """Copies the archive of systems to the mirror; *errors* has those that failed.

    *worst* is the error with the highest exit code, None if all went well. A mirror
    that cannot be used is tried once: all systems fail with the same error.
    """

    def __init__(self, settings: Settings, names: Sequence[str], times: Times) -> None:
        self._settings, self._names, self._times = settings, names, times
        self.errors: dict[str, str] = dict.fromkeys(names, "")
        self.worst: BikecollectError | None = None

    def run(self) -> Iterator["MirrorStep"]:
        """Yield a step per day; errors become steps, too."""
        from bikecollect.archive.mirror.push import MirrorPush, MirrorStep

        unusable: StorageError | None = None
        store: ObjectStore | None = None
        for name in self._names:
            if not (self._settings.data / name).is_dir():
                continue
            try:
                if unusable is not None:
                    raise unusable
                store = store or mirror_store(self._settings)
                push = MirrorPush(
                    store,
                    self._settings.data,
                    name,
                    self._times.clock,
                    self._times.stop.raise_if_set,
                )
                for step in push.run():
                    if step.why:
                        self._fail(name, StorageError(f"{step.day}: {step.why}"))
                    yield step
            except StorageError as error:
                is_first = unusable is None
                if isinstance(error, MirrorUnavailable | MirrorDenied):
                    unusable = error
                self._fail(name, error)
                if is_first:
                    yield MirrorStep(name, "", FAILED, why=str(error))

    def _fail(self, name: str, error: BikecollectError) -> None:
        self.errors[name] = self.errors[name] or str(error)
        if self.worst is None or error.exit_code > self.worst.exit_code:
            self.worst = error
