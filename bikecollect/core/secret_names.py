"""Which parameters, headers and settings hold a secret, by their names."""

import re

WORDS = frozenset(
    {
        *("apikey", "auth", "authorization", "bearer", "cookie", "credential"),
        *("credentials", "hmac", "jwt", "key", "keys", "passphrase", "passwd"),
        *("password", "pwd", "sas", "secret", "session", "sessionid", "sig"),
        *("signature", "token", "tokens"),
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
