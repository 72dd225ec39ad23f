"""The file that caches a token, where there is no place for it."""

from pathlib import Path

import pytest

from bikecollect.core.user_folders import NOWHERE
from bikecollect.storage.files.token_file import TokenFile


@pytest.mark.parametrize("place", [NOWHERE, Path("/dev/null")])
def test_a_token_without_a_place_is_not_cached_and_no_error(place: Path) -> None:
    """A user without a home gets a new token in each run; no slot is lost."""
    cache = TokenFile(place / "tokens" / "a.json")

    with cache.held():
        cache.write("token")

    assert cache.read() == ""
    assert not NOWHERE.exists()
