"""Recognise secrets in addresses, headers, logins and commands, by their names."""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from urllib.parse import parse_qsl, unquote, urlsplit

SHORTEST = 8
"""Minimum characters of a secret that is recognised only by its name."""
LONG = 16
"""Part of an address: with digits and at least so many characters, it may be secret."""
WORDS = frozenset(
    {
        "apikey",
        "auth",
        "authentication",
        "authorization",
        "bearer",
        "cookie",
        "credential",
        "credentials",
        "hmac",
        "jwt",
        "key",
        "keys",
        "pass",
        "passphrase",
        "passwd",
        "password",
        "pwd",
        "sas",
        "secret",
        "session",
        "sessionid",
        "sid",
        "sig",
        "signature",
        "token",
        "tokens",
    }
)
ENDINGS = (
    "accesskey",
    "apikey",
    "appkey",
    "authkey",
    "consumerkey",
    "secretkey",
    "subscriptionkey",
    "userkey",
    "token",
    "secret",
    "password",
    "signature",
)
"""The endings of names that are written without separators."""
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def is_secret_name(name: str) -> bool:
    """Return whether a parameter, header or key *name* has a secret value.

    >>> [is_secret_name(name) for name in ("consumerKey", "X-Api-Key", "access_token")]
    [True, True, True]
    >>> [is_secret_name(name) for name in ("size", "keyword", "monkey", "contract")]
    [False, False, False, False]
    """
    words = (word.lower() for word in _WORD.findall(name))
    return not WORDS.isdisjoint(words) or name.lower().endswith(ENDINGS)


def of_address(url: str) -> list[str]:
    """Return the secrets in *url*: user info, and parameters with a secret name.

    >>> of_address("https://example.org/x?size=10000000&api_key=0123456789")
    ['0123456789']
    >>> of_address("https://me:pw@example.org/")
    ['pw', 'me:pw', 'bWU6cHc=']
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return []  # not an address: the settings report it
    secrets = _of_user_info(parts.netloc.rpartition("@")[0])
    secrets += [
        value
        for name, value in parse_qsl(parts.query)
        if is_secret_name(name) and len(value) >= SHORTEST
    ]
    return secrets


def _of_user_info(text: str) -> list[str]:
    """Return the secrets in *text*, the ``user:password`` of an address.

    Their encoding in an Authorization header is included. A user name beside a
    password is no secret, unless it looks like a token.
    """
    if not text:
        return []
    user, _, password = map(unquote, text.partition(":"))
    login = f"{user}:{password}"
    secrets = [password] if password else []
    if _is_random(user, LONG) or (not password and len(user) >= SHORTEST):
        secrets.append(user)
    return [*secrets, login, b64encode(login.encode()).decode()] if secrets else []


def of_capability(url: str) -> list[str]:
    """Return the secrets in *url*, an address that is a secret itself.

    These are its path, if that has several parts, and each long part with digits.

    >>> of_capability("https://hooks.example.org/services/T0/B1234567890123456")
    ['services/T0/B1234567890123456', 'B1234567890123456']
    """
    try:
        path = urlsplit(url).path.strip("/")
    except ValueError:
        return []
    parts = path.split("/")
    secrets = [path] if len(parts) > 1 else []
    secrets += [part for part in parts if _is_random(part, SHORTEST)]
    return list(dict.fromkeys([*secrets, *of_address(url)]))


def of_header(name: str, value: str) -> list[str]:
    """Return the secrets in a header: its value, and the parts that servers may quote.

    Parts are a token without its scheme, the user and password encoded by Basic, and
    the values of a cookie. Empty if *name* is not that of a secret header.

    >>> of_header("Authorization", "Basic bWU6cHc=")
    ['Basic bWU6cHc=', 'bWU6cHc=', 'me:pw', 'pw']
    >>> of_header("Cookie", "lang=en; sid=0123")
    ['lang=en; sid=0123', '0123']
    """
    value = value.strip()
    if not is_secret_name(name) or not value:
        return []
    secrets = [value]
    if "cookie" in name.lower():
        return secrets + list(_of_cookie(value))
    scheme, _, rest = value.partition(" ")
    if not rest:
        return secrets
    secrets.append(rest.strip())
    if scheme.lower() == "basic":
        secrets += _of_basic(rest.strip())
    parts = re.findall(r'([\w-]+)="?([^",\s]+)', rest)
    return secrets + [text for part, text in parts if is_secret_name(part)]


def _of_cookie(value: str) -> Iterator[str]:
    pairs = [part.strip().partition("=") for part in value.split(";")]
    for name, _, text in pairs:
        secret = len(pairs) == 1 or is_secret_name(name) or len(text) >= SHORTEST
        if text and secret:
            yield text


def _of_basic(encoded: str) -> list[str]:
    try:
        text = b64decode(encoded, validate=True).decode("utf-8")
    except ValueError:
        return []
    _, colon, password = text.partition(":")
    return [text, password] if colon else [text]


def of_login(user: str, password: str) -> list[str]:
    """Return *password* in the encodings that a mail server receives and may quote."""
    if not password:
        return []
    plain = b64encode(f"\0{user}\0{password}".encode()).decode()
    return [password, b64encode(password.encode()).decode(), plain]


_ADDRESS = re.compile(r"https?://[^\s\"'<>|;]+")
_OPTION = re.compile(
    r"""(?:^|[\s"'?&;(])(?:--?(?P<option>[A-Za-z][\w.-]*)\s+"""
    r"""|-{0,2}(?P<name>[A-Za-z][\w.-]*)\s*[=:]\s*)"""
    r"""(?:(?:Basic|Bearer|Token)\s+)?["']?(?P<value>[^\s"'&;|)]+)"""
)
_FILE = re.compile(r"(file|path|dir|fd)$")
_LOGIN = re.compile(r"(?:^|\s)(?:-u|--user)[=\s]\s*[\"']?[^\s:\"']+:([^\s\"']+)")


def of_command(words: Sequence[str]) -> list[str]:
    """Return the secrets in a command: named values, addresses, a login.

    A shell variable or the path of a file is no secret.

    >>> of_command(["curl", "-H", "Authorization: Bearer 0123456789", "-d", "@-"])
    ['0123456789']
    >>> of_command(["notify", "--token-file", "/etc/secret-token", "--key", "$API_KEY"])
    []
    """
    text = " ".join(words)
    secrets = [*_LOGIN.findall(text)]
    position = 0
    while match := _OPTION.search(text, position):
        position = match.start("value") - 1  # the value may be the next name
        name, value = match["option"] or match["name"], match["value"]
        if _FILE.search(name) or value.startswith(("$", "@", "/", "~", "-", "`", "<")):
            continue
        if is_secret_name(name) and len(value) >= SHORTEST:
            secrets.append(value)
    for url in _ADDRESS.findall(text):
        parts = url.partition("://")[2].split("?")[0].split("/")[1:]
        secrets += [part for part in parts if _is_random(part, LONG)]
        secrets += of_address(url)
    return list(dict.fromkeys(secrets))


def _is_random(part: str, length: int) -> bool:
    """Return whether *part* of an address looks generated, not written by a person."""
    return len(part) >= length and any(character.isdigit() for character in part)
