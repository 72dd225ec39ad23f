"""The errors of an object store, translated from those of the library obstore.

Texts of the server are shortened and redacted before they are used in messages.
"""

import re
from collections.abc import Mapping

from bikecollect.archive.mirror.address import MirrorAddress
from bikecollect.archive.mirror.store import credentials
from bikecollect.core.errors import MirrorDenied, MirrorError, MirrorUnavailable
from bikecollect.core.secrets.redact import Redact

_CODE = re.compile(r"<Code>([A-Za-z.]{1,60})</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_LOCAL = re.compile(r"([^:]+) \(os error \d+\)")
_TIMED_OUT = re.compile(r"timed out|TimedOut|kind: Timeout")
_DETAIL = re.compile(
    r'(?:message|error): "([^"\n]{1,99})"|InvalidCertificate\(\s*(\w{1,40})'
)
_DENIED = frozenset({"401", "403", "ExpiredToken", "InvalidToken"})
"""Statuses and codes of rejected credentials."""
_MEANINGS: Mapping[str, tuple[type[MirrorError], str]] = {
    "NoSuchBucket": (MirrorUnavailable, "the bucket `{bucket}` does not exist"),
    "QuotaExceeded": (MirrorUnavailable, "the store is full: {reason}"),
    "RequestTimeTooSkewed": (MirrorDenied, "this machine's clock is wrong: {reason}"),
}
"""What some codes of S3 mean, as the error of that class."""
_LATER = re.compile("408|429|5..")
"""Statuses with which a server asks to try again later."""
_CREDENTIALS = re.compile(
    r"(?i)credential|169\.254\.|metadata|access_key|account_name|GOOGLE_|AZURE_"
)


def translated(
    what: str, error: Exception, address: MirrorAddress, redact: Redact
) -> MirrorError:
    """Return *error* of the library, while *what* failed at *address*, as ours."""
    text = str(error).partition("\n\nDebug source")[0]
    status, code = _STATUS.search(text), _CODE.search(text)
    known = {match[1] for match in (status, code) if match}
    reason = redact(_reason(text, error))
    if not credentials.are_found(address.scheme) or (
        not status and _CREDENTIALS.search(text)
    ):
        return MirrorDenied(
            f"{what}: no credentials found; set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or write ~/.aws/credentials (for gs and az: "
            "GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_KEY)"
        )
    for name in known & _MEANINGS.keys():
        kind, meaning = _MEANINGS[name]
        words = meaning.format(bucket=address.bucket, reason=reason)
        return kind(f"{what}: {words}")
    if known & _DENIED or isinstance(error, PermissionError):
        return MirrorDenied(
            f"{what}: credentials rejected: {reason}; check the "
            "environment, ~/.aws/credentials and the rights of the key"
        )
    if status and not _LATER.fullmatch(status[1]):
        return MirrorError(f"{what}: {reason}")
    if isinstance(error, OSError) and error.errno:
        return MirrorError(f"{what}: {error.strerror}")
    return MirrorUnavailable(f"{what}: {reason}")


def _reason(text: str, error: Exception) -> str:
    """Return what the library's *text* says, in a few words and without addresses."""
    if local := _LOCAL.search(text):
        return local[1].strip()
    if status := _STATUS.search(text):
        code = _CODE.search(text)
        return f"HTTP {status[1]}" + (f" ({code[1]})" if code else "")
    if reason := _network_reason(text, str(error)):
        return reason
    return text.splitlines()[0][:200] if text else type(error).__name__


def _network_reason(text: str, details: str) -> str:
    """Return why the store was not reached, empty if *text* does not say it."""
    if _TIMED_OUT.search(details):
        return "timed out"
    if "body error" in text:
        return "the connection broke off, or is too slow"
    if "configured region" in text:
        return "the bucket is in another region; set AWS_REGION"
    if "error sending request" not in text:
        return ""
    detail = _DETAIL.search(details)
    why = detail and (detail[1] or f"invalid certificate ({detail[2]})")
    return f"the connection failed: {why}" if why else "the connection failed"
