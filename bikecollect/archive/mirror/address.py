"""The address of a mirror, such as ``s3://bucket/prefix``."""

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from bikecollect.core.errors import SettingsError

SCHEMES = ("s3", "gs", "az", "file")
EXAMPLE = "s3://bucket/prefix (or gs://, az://account/container/prefix, file:///folder)"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}")
_PREFIX = re.compile(r"[^\x00-\x20\x7f\\?#*\[\]{}%]*")


class MirrorAddress(NamedTuple):
    """Where a mirror is: *prefix* has no slash at its ends.

    For ``az`` the *bucket* is the storage account, for ``file`` it is empty.
    """

    scheme: str
    bucket: str
    prefix: str

    @classmethod
    def parse(cls, text: str) -> "MirrorAddress":
        """Return the address in *text*; raises SettingsError.

        >>> MirrorAddress.parse("s3://bikes/history/")
        MirrorAddress(scheme='s3', bucket='bikes', prefix='history')
        """
        try:
            parts = urlsplit(text)
        except ValueError as error:
            raise SettingsError(f"invalid address; use {EXAMPLE}") from error
        if parts.scheme not in SCHEMES:
            raise SettingsError(f"unknown kind of address; use {EXAMPLE}")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise SettingsError(
                "an address must not contain credentials or options; they are read "
                "from the environment and the usual files"
            )
        path = unquote(parts.path) if parts.scheme == "file" else parts.path
        names = path.strip("/").split("/")
        if not _PREFIX.fullmatch(path) or {".", ".."} & set(names) or "" in names[1:]:
            raise SettingsError(f"invalid path {path!r}; use {EXAMPLE}")
        return cls._checked(parts.scheme, parts.netloc, path.strip("/"))

    @classmethod
    def _checked(cls, scheme: str, bucket: str, prefix: str) -> "MirrorAddress":
        if scheme == "file":
            if bucket or not prefix:
                raise SettingsError("use file:///FOLDER with an absolute path")
        elif not _BUCKET.fullmatch(bucket):
            raise SettingsError(f"the name of the bucket is missing; use {EXAMPLE}")
        elif scheme == "az" and not prefix:
            raise SettingsError("the container is missing; use az://account/container")
        return cls(scheme, bucket, prefix)

    def __str__(self) -> str:
        """Return the address as it is written in the settings."""
        return f"{self.scheme}://{self.bucket}/{self.prefix}".rstrip("/")


def folder_of(text: str) -> list[Path]:
    """Return the folder of the mirror *text*, if it is one here, else nothing.

    >>> folder_of("file:///mnt/nas"), folder_of("s3://bikes"), folder_of("")
    ([PosixPath('/mnt/nas')], [], [])
    """
    if not is_address(text) or not text.startswith("file:"):
        return []
    return [Path("/") / MirrorAddress.parse(text).prefix]


def is_address(text: str) -> bool:
    """Return whether *text* begins like the address of a mirror, not like a path.

    >>> is_address("s3://bikes"), is_address("/srv/bikes"), is_address("http://x/y")
    (True, False, False)
    """
    return text.partition("://")[0] in SCHEMES and "://" in text
