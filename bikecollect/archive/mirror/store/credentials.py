"""Credentials for object stores, from the environment and the files of their tools.

The library obstore reads the environment, and Google's and Azure's files. The files of
the AWS tools (``~/.aws/credentials``, ``~/.aws/config``) are read here.
"""

import configparser
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from bikecollect.core.errors import SettingsError
from bikecollect.core.secrets.names import is_secret_name

FROM_FILES = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
    "region": "region",
    "endpoint_url": "endpoint",
}
"""Keys in the files of the AWS tools, and the library's names for them."""
DELEGATED = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
"""Variables by which a platform provides credentials."""
PREFIXES = ("AWS_", "AZURE_", "GOOGLE_")
SHORTEST = 8


def s3_config() -> dict[str, str]:
    """Return the settings in the files of the AWS tools that the environment lacks.

    As for the AWS tools, keys in the environment take precedence. Raises SettingsError
    if $AWS_PROFILE names a profile that the files do not have.
    """
    profile = os.environ.get("AWS_PROFILE", "default")
    values = _profile(profile)
    if not values and "AWS_PROFILE" in os.environ and not _has_keys(os.environ):
        raise SettingsError(f'AWS_PROFILE: unknown profile "{profile}"')
    config = {FROM_FILES[k]: v for k, v in values.items() if k in FROM_FILES and v}
    if _has_keys(os.environ):
        for key in ("access_key_id", "secret_access_key", "session_token"):
            config.pop(key, None)
    if any(name in os.environ for name in ("AWS_REGION", "AWS_DEFAULT_REGION")):
        config.pop("region", None)
    if "AWS_REGION" in os.environ:
        config["region"] = os.environ["AWS_REGION"]
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        if url := os.environ.get(name):
            config["endpoint"] = url
    return config


def are_found(scheme: str) -> bool:
    """Return whether there are credentials for *scheme*; True if that is unknown.

    Without any, the library requests them from the metadata service of a cloud.
    """
    if scheme != "s3":
        return True
    is_delegated = any(name in os.environ for name in DELEGATED)
    return is_delegated or _has_keys(os.environ) or "access_key_id" in s3_config()


def _has_keys(environment: Mapping[str, str]) -> bool:
    return bool(environment.get("AWS_ACCESS_KEY_ID"))


def _profile(name: str) -> dict[str, str]:
    """Return the values of the profile *name* in the files of the AWS tools."""
    values: dict[str, str] = {}
    for variable, default, section in (
        ("AWS_CONFIG_FILE", "config", name if name == "default" else f"profile {name}"),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", name),
    ):
        parser = configparser.RawConfigParser()
        with suppress(RuntimeError):  # a user without a home
            named = os.environ.get(variable)
            path = Path(named) if named else Path.home() / ".aws" / default
            try:
                parser.read(path, encoding="utf-8")
            except (configparser.Error, OSError, UnicodeError) as error:
                # The error may quote a line that has a key.
                why = getattr(error, "strerror", None) or "not a valid file of settings"
                raise SettingsError(f"cannot read {path}: {why}") from None
            if parser.has_section(section):
                values |= {k: v.strip() for k, v in parser.items(section)}
    return values


def secrets() -> list[str]:
    """Return the secrets for object stores in the environment and the AWS files."""
    return list(dict.fromkeys(_secrets()))


def _secrets() -> Iterator[str]:
    for name, value in os.environ.items():
        is_ours = name.startswith(PREFIXES)
        if is_ours and is_secret_name(name) and len(value) >= SHORTEST:
            yield value
    with suppress(SettingsError):
        for name, value in s3_config().items():
            if is_secret_name(name) and len(value) >= SHORTEST:
                yield value
