"""Read and check the settings file."""

import codecs
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from bikecollect.core import user_folders
from bikecollect.core.errors import LockBusy, SettingsError, StorageError, UntrustedFile
from bikecollect.core.text import suggestion
from bikecollect.feeds.registry import DIALECTS
from bikecollect.setup import settings_file
from bikecollect.setup.catalogue import builtin
from bikecollect.setup.settings import Settings, System
from bikecollect.setup.tables.checking import Problems, checked, shown
from bikecollect.setup.tables.sections import SECTIONS, Mail
from bikecollect.setup.tables.values import check_values, possible_checks, table_of
from bikecollect.storage.data_folder import name_error
from bikecollect.storage.files import renamed, trusted_files
from bikecollect.storage.files.known_folders import is_known, latest, namesakes
from bikecollect.storage.files.renamed import RenamedError
from bikecollect.storage.lock import Lock

log = logging.getLogger(__name__)


def load(path: str | None) -> Settings:
    """Return the settings of the file at *path*, or of the first file that exists.

    The search covers $BIKECOLLECT_CONFIG and the user's config folder, but never the
    current folder: whoever can write there would decide what runs. Without a file, the
    settings have the catalogue's first system and defaults. Raises SettingsError with
    the file, the key and the valid values.
    """
    file = settings_file.find(path)
    if file is None:
        return _placed(_with_default_system(Settings()))
    settings = read_text(file, settings_file.read(file))
    _check_mode(file, settings)
    check_files(settings, only_untrusted=True)
    return _placed(settings)


def check_name(settings: Settings, name: str) -> None:
    """Raise RenamedError if the file of *settings* has no system *name* any more.

    A `rename` may end between the reading of the settings and the creation of a folder,
    which would have the old name: nobody would look for data there. One that is in
    progress is waited for. A system that was renamed in the settings only is logged.
    """
    if not Path(settings.source).is_file():
        return  # none, or a pipe
    moved = renamed.moved_to(settings.data / name)
    if moved is not None:
        with suppress(LockBusy, StorageError), Lock(moved / "lock").held():
            pass
    info = Path(settings.source).stat()
    state = info.st_ino, info.st_size, info.st_mtime_ns
    names, left = _names_now(settings.source, state)
    if name not in names:
        raise RenamedError(
            f"{settings.source} was changed meanwhile, and has no system {name} any "
            "more; run the same command again, with the new name"
        )
    folder = settings.data / name
    if is_known(folder):
        return
    others = namesakes(settings.source, [folder]).values()
    for other in filter(None, map(latest, others)):
        from bikecollect.storage.repair.new_history import text_of  # for a new folder

        log.warning("%s: %s", name, text_of(settings.system_folder(name), other))
    if left:
        from bikecollect.setup.program import page

        log.warning(
            "%s: a new history begins; %s is there, and has data of no system in %s; "
            "if that was renamed: %s",
            name,
            left[0],
            settings.source,
            page("how-to/rename-move-restore.md"),
        )


@lru_cache(maxsize=1)
def _names_now(source: str, state: tuple[int, ...]) -> tuple[set[str], list[Path]]:
    """Return the systems in the file *source*, and the folders that it has no more.

    A file of a *state* is read once: the first call may create a thousand folders.
    """
    del state
    settings = load(source)
    return set(settings.systems), settings.unowned()


def _placed(settings: Settings) -> Settings:
    """Return *settings*; keep state beside the data if the user has no home."""
    with suppress(SettingsError):
        user_folders.use_state_beside(settings.data)
    return settings


def read_text(path: Path, text: str) -> Settings:
    """Return the settings in *text* of the file *path*; raises SettingsError.

    The permissions of the file are not checked.
    """
    import tomllib  # 20 ms, not needed without a file

    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        from bikecollect.setup.tables import toml_errors  # only after a mistake

        reason = toml_errors.explained(str(error), text)
        raise SettingsError(f"{path} is not TOML: {reason}") from error
    try:
        settings = parse(values, folder=path.parent.absolute())
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}", lines=True) from error
    return replace(settings, source=str(path.absolute()))


def read_alert_settings(path: str | None) -> Settings | None:
    """Return only the alert settings of a settings file that is otherwise invalid.

    None if they are invalid too, or if others can write to the file.
    """
    import tomllib

    file = settings_file.find(path)
    if file is None:
        return None
    try:
        # Text that is not UTF-8 occurs in names and comments, not in addresses.
        data = settings_file.read_trusted(file).removeprefix(codecs.BOM_UTF8)
        encoding = settings_file.wide_encoding(data) or "utf-8"
        values = tomllib.loads(data.decode(encoding, "replace"))
        sections: dict[str, Any] = {
            name: values[name] for name in ("mail", "ping", "tell") if name in values
        }
        settings = parse(sections, folder=file.parent.absolute())
    except (ValueError, RecursionError, SettingsError):
        return None
    try:
        check_files(settings)
    except SettingsError:
        settings = replace(settings, mail=Mail())
    return replace(settings, source=str(file.absolute()))


def parse(values: Mapping[str, Any], *, folder: Path = Path()) -> Settings:
    """Return the settings of *values*, a parsed TOML file.

    Raises SettingsError naming the key, and the nearest known key.
    """
    problems = Problems()
    top = checked(Settings, values, "", problems)
    systems: dict[str, System] = {}
    sound: dict[str, System] = {}
    for name, table in table_of(values, "systems").items():
        before = len(problems)
        with problems:
            systems[name] = _system(name, table, problems)
        if len(problems) == before:
            sound[name] = systems[name]
    sections: dict[str, Any] = {}
    sound_tables: set[str] = set()
    for name, cls in SECTIONS.items():
        before = len(problems)
        table = table_of(values, name)
        sections[name] = cls(**checked(cls, table, f"{name}.", problems))
        if len(problems) == before:
            sound_tables.add(name)
    settings = Settings(**{**top, **sections, "systems": systems, "folder": folder})
    if len(problems):
        problems.note(possible_checks(settings, values, sound, sound_tables))
    problems.refuse()
    complete = settings.with_absolute_paths()
    if not complete.systems:
        complete = _with_default_system(complete)
    check_values(complete)
    return complete


def _with_default_system(settings: Settings) -> Settings:
    """Return *settings* with the catalogue's first system."""
    first = builtin.CATALOGUE[0].system_id
    systems = {first: _system(first, {}, Problems())}
    return replace(settings, systems=systems, is_default_system=True)


def check_files(settings: Settings, *, only_untrusted: bool = False) -> None:
    """Raise SettingsError if a file named in the settings cannot be used.

    A secret that cannot be read costs only the mails, or its system. *only_untrusted*
    accepts that: the others are collected.
    """
    secrets = {f"systems.{n}.": s.client_secret for n, s in settings.systems.items()}
    if settings.mail.host:
        secrets = {"": settings.password, **secrets}
    for place, read in secrets.items():
        try:
            read()
        except SettingsError as error:
            if isinstance(error, UntrustedFile) or not only_untrusted:
                raise SettingsError(f"{place}{error}") from error
    for section, bundle in _bundles(settings).items():
        trusted_files.check_bundle(f"{section}.ca_bundle", Path(bundle))


def check_certificates(settings: Settings) -> None:
    """Raise SettingsError if a file of certificates has none."""
    from bikecollect.alerts.mail.smtp_connection import verifying  # not for a fetch

    for section, bundle in _bundles(settings).items():
        try:
            verifying(bundle)
        except OSError as error:
            words = f"{settings.source}: {section}.{error.strerror}"
            raise SettingsError(words) from error


def _bundles(settings: Settings) -> dict[str, str]:
    """Return the files of certificates by the tables that name them."""
    bundles = {f"systems.{n}": s.ca_bundle for n, s in settings.systems.items()}
    bundles["mail"] = settings.mail.ca_bundle
    return {section: bundle for section, bundle in bundles.items() if bundle}


def _system(name: str, values: object, problems: Problems) -> System:
    """Return the system *name* with missing values from the catalogue.

    Errors of single values are noted in *problems*; raises SettingsError for others.
    """
    place = f"systems.{name}"
    if not isinstance(values, dict):
        header = "[systems.NAME]" if hasattr(System, name) else f"[{place}]"
        words = f"must be a table, not {shown(name, values)}; begin it with {header}"
        raise SettingsError(f"{place} {words}")
    if error := name_error(name):
        raise SettingsError(f"{place}: {error}")
    before = len(problems)
    system = System(**checked(System, values, f"{place}.", problems))
    if len(problems) > before:
        return system
    entry = builtin.find(name)
    if entry is not None:
        system = replace(
            system,
            feed=system.feed or entry.feed,
            url=system.url or entry.url,
            timezone=system.timezone or entry.timezone,
        )
    if system.feed and system.feed not in DIALECTS:
        known = ", ".join(DIALECTS)
        raise SettingsError(f'{place}: feed = "{system.feed}": choose one of {known}')
    for key in ("feed", "url", "timezone"):
        if not getattr(system, key):
            ids = [entry.system_id for entry in builtin.CATALOGUE]
            hint = suggestion(name, ids, "; ")
            missing = f"{place}.{key} is missing, and the catalogue has no such system"
            raise SettingsError(missing + hint)
    return system


def _check_mode(path: Path, settings: Settings) -> None:
    """Raise SettingsError if others can read secrets in the file *path*."""
    if settings.secrets_by_key and trusted_files.others_read(path):
        raise SettingsError(
            f"{path} contains a secret ({next(iter(settings.secrets_by_key))}) and is "
            f"readable by others; run: chmod 600 {trusted_files.quoted(path)}"
        )
