"""The order in which a file is made durable and takes its place."""

import os
import stat
from pathlib import Path

import pytest


def noted_syncs(monkeypatch: pytest.MonkeyPatch, rename: str) -> list[str]:
    """Return a list to which each sync, and each `Path` *rename*, is added."""
    steps: list[str] = []
    sync, move = os.fsync, getattr(Path, rename)

    def synced(fd: int) -> None:
        steps.append("sync folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "sync")
        sync(fd)

    def renamed(source: Path, target: Path) -> object:
        steps.append("rename")
        return move(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, rename, renamed)
    return steps
