"""A shard: the share of the systems that one of several machines collects."""

from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple, Self


class Shard(NamedTuple):
    """Share *number*, counted from 1, of *total* shares."""

    number: int
    total: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the shard written as K/N; raises ValueError for anything else.

        >>> Shard.parse("2/5")
        Shard(number=2, total=5)
        """
        number, slash, total = text.partition("/")
        is_written = slash and (number + total).isascii() and (number + total).isdigit()
        if not is_written or not number or not total:
            raise ValueError(f'"{text}" is not of the form K/N, such as 2/5')
        shard = cls(int(number), int(total))
        if not 1 <= shard.number <= shard.total:
            raise ValueError(f'"{text}": K must be from 1 to N')
        return shard

    def __str__(self) -> str:
        """Return the shard as K/N."""
        return f"{self.number}/{self.total}"

    def of(self, names: Iterable[str]) -> list[str]:
        """Return the systems of *names* in this shard.

        A system's shard depends only on its id: each system is in exactly one shard,
        whichever other systems are in the settings.

        >>> Shard(1, 2).of(["taipei", "oslo", "vienna"])
        ['oslo', 'vienna']
        """
        return [name for name in names if _hash(name) % self.total == self.number - 1]


def _hash(name: str) -> int:
    return int.from_bytes(sha256(name.encode()).digest()[:8])
