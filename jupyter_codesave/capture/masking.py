"""Masking: what in a program's arguments looks like a secret is not kept.

By the name that it is given to, whole words of it, and by the known shapes of tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

MASK = "****"

# Secret wherever it stands in a name, unless the name goes on to something about it (…-file).
_SECRETS = frozenset(
    {
        *("password", "passwords", "passwd", "passwds", "pwd", "pwds", "passphrase"),
        *("passphrases", "passcode", "secret", "secrets", "credential", "credentials", "bearer"),
    }
)
# Secret as the last word of a name, unless another of its words makes it something else.
_ENDINGS = frozenset(
    {
        *("key", "keys", "token", "pass", "pw", "auth", "authorization", "authentication"),
        *("apikey", "apikeys", "accesskey", "secretkey", "privatekey", "authkey", "authtoken"),
        *("accesstoken", "jwt", "pat", "otp", "cookie", "cookies", "psk"),
    }
)
_JOINED = ("password", "passwd", "passphrase", "secret", "token", "apikey", "credentials")
_ABOUT = frozenset(
    {
        *("file", "files", "path", "paths", "dir", "folder", "length", "len", "size", "count"),
        *("limit", "min", "max", "policy", "prompt", "stdin", "type", "mode", "env", "var"),
        *("name", "names", "ttl", "timeout", "provider", "backend", "manager", "store"),
    }
)
_OTHERWISE = frozenset(
    {
        *("n", "num", "number", "max", "min", "per", "multi", "single", "one", "two", "first"),
        *("second", "last", "next", "forward", "backward", "start", "stop", "end", "begin"),
        *("sort", "order", "primary", "foreign", "partition", "group", "public", "image", "text"),
        *("audio", "video", "metric", "label", "data", "dict", "cache", "row", "column"),
        *("feature", "target", "input", "output", "state", "query", "value", "index", "hash"),
        *("join", "map", "sample", "batch", "bos", "eos", "pad", "unk", "mask", "cls", "sep"),
        *("special", "prefix", "suffix", "new", "total", "context", "stem", "word", "sub"),
        *("early", "monitor", "loss", "score"),
    }
)
_SWITCHES = frozenset(
    {
        *("no", "not", "use", "enable", "disable", "skip", "without", "require", "allow"),
        *("show", "hide"),
    }
)
_WORDS = r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+"
_PLAIN = r"[+-]?(?:\d[\d_]*\.?\d*(?:[eE][+-]?\d+)?|true|false|none|null)"
_NAME = r"(?<![\w.\-])(?=[\w.\-]*[A-Za-z])([\w.\-]+)"  # tried once a word: long ones are usual
_PAIR = _NAME + r"([\"']?(?:=|:(?!//))[ \t]*[\"']?)([^\s\"',;&{}\[\]]+)"
_SHAPES = "|".join(
    (
        r"gh[pousr]_[A-Za-z0-9]{10,}",
        r"github_pat_\w{10,}",
        r"glpat-[\w\-]{10,}",
        r"(?:AKIA|ASIA)[0-9A-Z]{12,}",
        r"AIza[\w\-]{30,}",
        r"hf_(?=[A-Za-z]*\d)[A-Za-z0-9]{8,}",
        r"hf_[A-Za-z0-9]{20,}",
        r"sk-(?:proj|ant|or|svcacct|admin)-[\w\-]{6,}",
        r"sk-[A-Za-z0-9_]{12,}",
        r"[sr]k_(?:live|test)_[A-Za-z0-9]{10,}",
        r"xox[abeoprs]-[\w\-]{10,}",
        r"npm_[A-Za-z0-9]{30,}",
        r"pypi-[\w\-]{30,}",
        r"SG\.[\w\-]{16,}\.[\w\-]{16,}",
        r"eyJ[\w\-]{6,}\.[\w\-]{6,}\.[\w\-]*",  # a JSON Web Token
    )
)
_SHAPED = rf"(?<![A-Za-z0-9])(?:{_SHAPES})"
_HEADER = r"(?i)\b(authorization[\"']?[ \t]*[=:][ \t]*[\"']?|(?:bearer|basic)[ \t]+(?=\S{6})).+"
_PRIVATE = r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*"


def mask(argv: Sequence[Any]) -> list[str]:
    """Hide the values of arguments whose names say secret, tokens, and passwords within URLs."""
    masked: list[str] = []
    option = ""  # that the argument before was
    for given in argv:
        argument = str(given)
        if option and not argument.startswith("--") and is_secret(option, argument):
            masked.append(MASK)
            option = ""
            continue
        name, equals, value = argument.partition("=")
        if equals and re.fullmatch(r"[^\s:?&,;\"'{]+", name) and is_secret(name, value):
            masked.append(f"{name}={MASK}")
        else:
            masked.append(_masked(argument))
        option = argument if argument.startswith("-") and not equals else ""
    return masked


def is_secret(name: str, value: str) -> bool:
    """Tell from the name of an option whether `value` is a secret."""
    words = [word.lower() for word in re.findall(_WORDS, name)]
    while words and words[-1].isdigit():
        words.pop()
    if not words or _SWITCHES.intersection(words) or words[-1] in _ABOUT:
        return False
    if _SECRETS.intersection(words):
        return True
    if _OTHERWISE.intersection(words):
        return False
    if words[-1] == "tokens":  # rather a count
        return re.fullmatch(_PLAIN, value, re.IGNORECASE) is None
    return words[-1] in _ENDINGS or words[-1].endswith(_JOINED)


def without_password(url: str) -> str:
    """Remove user and password from a URL; anything else comes back as it is."""
    scheme, mark, rest = url.partition("://")
    if not mark or "@" not in rest.split("/", 1)[0]:
        return url
    authority, slash, path = rest.partition("/")
    return scheme + mark + authority.rpartition("@")[2] + slash + path


def _masked(argument: str) -> str:
    """Hide what within one argument is a secret."""
    argument = without_password(argument)
    argument = re.sub(_HEADER, rf"\1{MASK}", argument)
    argument = re.sub(_SHAPED, MASK, argument)
    argument = re.sub(_PRIVATE, MASK, argument)
    return re.sub(_PAIR, _masked_pair, argument)


def _masked_pair(pair: re.Match[str]) -> str:
    name, between, value = pair.groups()
    if value == MASK or not is_secret(name, value):
        return pair[0]
    return name + between + MASK
