"""A city with a mirror on a real S3 server, behind a proxy that injects faults."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from in_process import bikecollect
from s3server import BUCKET, Proxy, environment
from world import World

from bikecollect.archive.mirror.address import MirrorAddress
from bikecollect.archive.mirror.store.object_store import ObjectStore

PART = "archive/station_status/system_id=city/date=2024-06-05/part.parquet"
CERTIFICATE = "archive/certificates/system_id=city/2024-06-05.json"


class City:
    """A user's settings of the system in *folder*, with its own mirror."""

    def __init__(self, folder: Path, config: Path, proxy: Proxy, prefix: str) -> None:
        self.folder, self.config, self.proxy = folder, config, proxy
        self.data = folder.parent
        self.address = f"s3://{BUCKET}/{prefix}"
        self.prefix = prefix
        with config.open("a", encoding="utf-8") as out:
            out.write(f'[archive]\nmirror = "{self.address}"\n')

    def run(self, *arguments: object, **env: str) -> CompletedProcess[str]:
        """Run a command with the credentials in its environment."""
        cache = str(self.data.parent / "cache")
        more = environment(self.proxy.url) | {"XDG_CACHE_HOME": cache} | env
        more = {name: value for name, value in more.items() if value}
        return bikecollect("--config", self.config, *arguments, **more)

    def pushed(self) -> "City":
        """Return this city after its archived days were pushed."""
        process = self.run("push")
        assert process.returncode == 0, process.stderr
        return self

    def store(self, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
        """Return the mirror, as the program opens it."""
        for name, value in environment(self.proxy.url).items():
            monkeypatch.setenv(name, value)
        return ObjectStore(MirrorAddress.parse(self.address))


def mirrored_city(system: Path, config: Path, proxy: Proxy, folder: Path) -> City:
    """Return the folder of a *system* with a mirror whose prefix only *folder* uses."""
    mark = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    return City(system, config, proxy, f"{mark}/history")


def renewed(build: Callable[[Path], World], folder: Path) -> World:
    """Return what *build* makes in *folder*, instead of the world that is there."""
    shutil.rmtree(folder)
    return build(folder)


def local_files(city: City) -> dict[str, str]:
    """Return the sha256 of each file that the mirror must have, by path."""
    paths = [p for p in (city.data / "archive").rglob("*") if p.is_file()]
    paths = [p for p in paths if not p.relative_to(city.data).parts[1].startswith(".")]
    paths.append(city.folder / "station_information.csv")
    return {
        str(path.relative_to(city.data)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }


def mirrored(city: City, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the sha256 of each object in the mirror, by its path."""
    store = city.store(monkeypatch)
    return {item.path: store.digest(item.path) for item in store.list("")}
