"""Secrets: what is one, by the names that things go by."""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from urllib.parse import parse_qsl, unquote, urlsplit

SHORTEST = 8
"""Letters of what is only by its name taken for a secret: shorter is a common word."""
LONG = 16
"""Letters from which a part of an address with digits in it looks like a secret."""
WORDS = frozenset(
    {
        *("apikey", "auth", "authentication", "authorization", "bearer", "cookie"),
        *("credential", "credentials", "hmac", "jwt", "key", "keys", "pass"),
        *("passphrase", "passwd", "password", "pwd", "sas", "secret", "session"),
        *("sessionid", "sid", "sig", "signature", "token", "tokens"),
    }
)
ENDINGS = (
    *("accesskey", "apikey", "appkey", "authkey", "consumerkey", "secretkey"),
    *("subscriptionkey", "userkey", "token", "secret", "password", "signature"),
)
"""Of a name that runs its words together."""
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def is_secret_name(name: str) -> bool:
    """Return whether the parameter, header or key called *name* holds a secret.

    >>> [is_secret_name(each) for each in ("consumerKey", "X-Api-Key", "access_token")]
    [True, True, True]
    >>> [is_secret_name(each) for each in ("size", "keyword", "monkey", "contract")]
    [False, False, False, False]
    """
    words = (each.lower() for each in _WORD.findall(name))
    return not WORDS.isdisjoint(words) or name.lower().endswith(ENDINGS)


def of_address(url: str) -> list[str]:
    """Return the secrets in the address *url*: user info, and keys by their names.

    >>> of_address("https://example.org/x?size=10000000&api_key=0123456789")
    ['0123456789']
    >>> of_address("https://me:pw@example.org/")
    ['pw', 'me:pw', 'bWU6cHc=']
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return []  # no address: who reads the settings says so
    found = _of_user_info(parts.netloc.rpartition("@")[0])
    found += [
        value
        for name, value in parse_qsl(parts.query)
        if is_secret_name(name) and len(value) >= SHORTEST
    ]
    return found


def _of_user_info(text: str) -> list[str]:
    """Return the secrets in *text*, user:password as an address has them.

    And what becomes of them in a header. A name beside a password is none, unless
    it looks like a token.
    """
    if not text:
        return []
    user, _, password = map(unquote, text.partition(":"))
    both = f"{user}:{password}"
    found = [password] if password else []
    if _is_random(user, LONG) or (not password and len(user) >= SHORTEST):
        found.append(user)
    return [*found, both, b64encode(both.encode()).decode()] if found else []


def of_capability(url: str) -> list[str]:
    """Return the secrets in *url*, an address that must not be known at all.

    Its path as a whole where it has several parts, and each long part with digits.

    >>> of_capability("https://hooks.example.org/services/T0/B1234567890123456")
    ['services/T0/B1234567890123456', 'B1234567890123456']
    """
    try:
        path = urlsplit(url).path.strip("/")
    except ValueError:
        return []
    parts = path.split("/")
    found = [path] if len(parts) > 1 else []
    found += [each for each in parts if _is_random(each, SHORTEST)]
    return list(dict.fromkeys([*found, *of_address(url)]))


def of_header(name: str, value: str) -> list[str]:
    """Return the secrets in a header: the value, and what servers may quote of it.

    That is a token without its scheme, the name and password that Basic encodes, and
    what a cookie holds. Empty for a header whose name tells of no secret.

    >>> of_header("Authorization", "Basic bWU6cHc=")
    ['Basic bWU6cHc=', 'bWU6cHc=', 'me:pw', 'pw']
    >>> of_header("Cookie", "lang=en; sid=0123")
    ['lang=en; sid=0123', '0123']
    """
    value = value.strip()
    if not is_secret_name(name) or not value:
        return []
    found = [value]
    if "cookie" in name.lower():
        return found + list(_of_cookie(value))
    scheme, _, rest = value.partition(" ")
    if not rest:
        return found
    found.append(rest.strip())
    if scheme.lower() == "basic":
        found += _of_basic(rest.strip())
    parts = re.findall(r'([\w-]+)="?([^",\s]+)', rest)
    return found + [text for part, text in parts if is_secret_name(part)]


def _of_cookie(value: str) -> Iterator[str]:
    pairs = [each.strip().partition("=") for each in value.split(";")]
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
    """Return the spellings in which a mail server hears, and may quote, *password*."""
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
    """Return the secrets in a command: keys by their names, addresses, a login.

    A variable of the shell or the path of a file is none.

    >>> of_command(["curl", "-H", "Authorization: Bearer 0123456789", "-d", "@-"])
    ['0123456789']
    >>> of_command(["notify", "--token-file", "/etc/secret-token", "--key", "$API_KEY"])
    []
    """
    text = " ".join(words)
    found = [*_LOGIN.findall(text)]
    at = 0
    while match := _OPTION.search(text, at):
        at = match.start("value") - 1  # the value may be the next name
        name, value = match["option"] or match["name"], match["value"]
        if _FILE.search(name) or value.startswith(("$", "@", "/", "~", "-", "`", "<")):
            continue
        if is_secret_name(name) and len(value) >= SHORTEST:
            found.append(value)
    for url in _ADDRESS.findall(text):
        parts = url.partition("://")[2].split("?")[0].split("/")[1:]
        found += [each for each in parts if _is_random(each, LONG)] + of_address(url)
    return list(dict.fromkeys(found))


def _is_random(part: str, length: int) -> bool:
    """Tell whether *part* of an address looks made by a machine, not by a person."""
    return len(part) >= length and any(each.isdigit() for each in part)
