"""Take secrets out of text before it leaves the process, and leave ordinary text alone.

Every rule starts from something `find` finds at memory speed and then looks at one place, so the
time is linear in the text whatever it holds, and text without secrets costs next to nothing.
"""

import re
from collections.abc import Callable, Iterator
from typing import TypeAlias

REDACTED = "[redacted]"

Found: TypeAlias = tuple[int, int, str]
"""Start and end of a secret, and what takes its place."""


def redact_secrets(key: str, text: str) -> str:
    """Return `text`, the value of the attribute `key`, without the secrets in it.

    Known are API keys and tokens by their prefix (OpenAI, Anthropic, AWS, GitHub, Google, Slack and
    others), JSON web tokens, bearer tokens, private keys, passwords in URLs, and the values of
    `api_key`, `password`, `authorization`, `client_secret` and the like in JSON, headers, query
    strings and code. Redacting twice changes nothing.
    """
    if _SECRET_ATTRIBUTE.fullmatch(key.rpartition(".")[2]):
        return REDACTED if text else text
    if len(text) < 6:
        return text
    found = list(_tokens(text)) if len(text) >= len(_LONG) else []
    if ":" in text or "=" in text or "earer" in text or "EARER" in text or "-----" in text:
        found += _marked(text)
        found.sort()
    if not found:
        return text
    parts: list[str] = []
    end = 0
    for start, stop, replacement in found:
        if start >= end:
            parts += text[end:start], replacement
            end = stop
    return "".join(parts) + text[end:]


# --- tokens that are known by their beginning ---

_WORD = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-."
_SHAPE = bytes(ord("w") if code in _WORD else ord(" ") for code in range(256))
_LONG = b"w" * 16
"""No token below is shorter, and most text has no such run: `find` tells at memory speed."""

_ANY = r"[A-Za-z0-9_-]"
_TOKEN = re.compile(
    # The `n` of a JSON `\n` belongs to no word.
    r"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrtbf]))(?:"
    rf"(?P<wordy>(?:sk-|xapp-|tvly-|pypi-|xox[a-z](?:\.[a-z]+)?-){_ANY}{{11,}}+)"
    rf"|(?:gh[opusr]_|github_pat_|nvapi-|lsv2_|glpat-|AIza|ya29\.|[sr]k_(?:live|test)_){_ANY}{{12,}}+"
    r"|(?:hf_|gsk_|npm_|xai-|pplx-)[A-Za-z0-9]{20,}+"
    r"|A(?:KIA|SIA)[A-Z0-9]{12,}+"
    rf"|SG\.{_ANY}{{16,}}+\.{_ANY}{{16,}}+"
    rf"|eyJ{_ANY}{{8,}}+\.{_ANY}{{8,}}+(?:\.{_ANY}*+)?"
    r")"
)


def _tokens(text: str) -> Iterator[Found]:
    shape = text.encode("ascii", "replace").translate(_SHAPE)
    start = shape.find(_LONG)
    while start >= 0:
        end = shape.find(b" ", start)
        end = len(text) if end < 0 else end
        for match in _TOKEN.finditer(text, start, end):
            if match["wordy"] is None or _is_random(match["wordy"].partition("-")[2]):
                yield match.start(), match.end(), REDACTED
        start = shape.find(_LONG, end)


def _is_random(text: str) -> bool:
    """Whether no one would write this: `sk-learn-like-words` are ordinary."""
    return any(char.isdigit() for char in text) or max(map(len, re.split("[-_]", text))) >= 16


# --- secrets that are known by what stands before them ---


def _marked(text: str) -> Iterator[Found]:
    lower = _lower(text)
    for mark, rule in _RULES:
        if mark not in lower:
            continue
        position = lower.find(mark)
        while position >= 0:
            found = rule(text, position)
            if found is not None:
                yield found
            # A secret may reach to the end of the text: looking inside it again is quadratic.
            position = lower.find(mark, max(position + 1, found[1] if found else 0))


def _lower(text: str) -> str:
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    # Some letters grow when lowered (İ), and positions must agree.
    return "".join(char.lower() if char.isascii() else char for char in text)


_BEARER = re.compile(r"bearer[ \t]{1,8}([A-Za-z0-9._~+/=-]{8,}+)", re.IGNORECASE)


def _bearer(text: str, position: int) -> Found | None:
    match = _BEARER.match(text, position)
    # "the bearer certificates": words. A token has a digit, a sign inside it, or great length.
    if match is None or (match[1].rstrip(".=").isalpha() and len(match[1]) < 20):
        return None
    return match.start(1), match.end(1), REDACTED


_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")


def _private_key(text: str, position: int) -> Found | None:
    match = _PRIVATE_KEY.match(text, position)
    if match is None:
        return None
    end = text.find("-----END", match.end())
    return match.end(), end if end >= 0 else len(text), REDACTED


_USER_INFO = re.compile(r"://[^\s/?#@:\"'<>]{0,256}+:([^\s/?#@\"'<>]{1,256}+)@")


def _url_password(text: str, position: int) -> Found | None:
    match = _USER_INFO.match(text, position)
    return (match.start(1), match.end(1), REDACTED) if match else None


# --- the values of names such as api_key, in JSON (also inside JSON), headers, queries and code ---

_SIGN = re.compile(
    r"(?P<close>\\{0,16}+[\"'`])?[ \t]{0,8}+(?P<sign>=>|:=|[:=](?!=))[ \t]{0,8}+"
    r"(?:SecretStr\()?(?P<slashes>\\{0,16}+)(?P<quote>[\"'`])?"
)
_SCHEME = re.compile(
    r"(?:basic|bearer|token|apikey|digest|aws4-hmac-sha256)[ \t]++[^\r\n\"'`\\]++", re.IGNORECASE
)
_BARE = re.compile(r"[^\s\"'`,;&<>\\()\[\]{}|$][^\s\"'`,;&<>\\()\[\]{}|]*+")
_EXPRESSION = re.compile(r"[A-Za-z_]\w{0,64}+(?:\.[A-Za-z_]\w{0,64}+|[(\[])")
_NOTHING = frozenset({"none", "null", "true", "false", "undefined", "nil", "str", "string", "..."})


def _named(name: str, *, vague: bool = False) -> Callable[[str, int], Found | None]:
    """Return the rule for `name: value`; a vague name hides only what looks like a secret."""
    pattern = re.compile(name, re.IGNORECASE)

    def rule(text: str, position: int) -> Found | None:
        match = pattern.match(text, position)
        sign = _SIGN.match(text, match.end()) if match else None
        if match is None or sign is None or text.startswith(REDACTED, sign.end()):
            return None
        doubtful = vague and not _TOKEN_OWNER.search(text, max(0, position - 16), position)
        if sign["quote"]:
            return _quoted(text, sign, doubtful)
        if "uthorization" in match[0] and (scheme := _SCHEME.match(text, sign.end())):
            return scheme.start(), scheme.end(), REDACTED
        return _unquoted(text, sign, doubtful)

    return rule


_TOKEN_OWNER = re.compile(
    r"(?:access|refresh|auth|bearer|session|id|api|secret|oauth|bot|user)[_-]?\Z", re.IGNORECASE
)
"""Whose token is a secret by name: a language model's tokens, and those of a page, are not."""


def _quoted(text: str, sign: re.Match[str], doubtful: bool) -> Found | None:
    start = sign.end()
    end = _closing(text, start, sign["quote"], len(sign["slashes"]))
    if end == start or (doubtful and not _looks_secret(text[start : start + 256], end - start, 16)):
        return None
    return start, end, REDACTED


def _unquoted(text: str, sign: re.Match[str], doubtful: bool) -> Found | None:
    value = _BARE.match(text, sign.end())
    if value is None or _EXPRESSION.match(text, sign.end()):
        return None
    size = value.end() - value.start()
    head = value[0][:256]
    if head.lower() in _NOTHING:
        return None
    in_json = sign["close"] is not None and sign["sign"] == ":"
    # After `password:` prose may follow; after `password=` hardly.
    if (doubtful or sign["sign"] != "=") and not (in_json and not doubtful):
        if not _looks_secret(head, size, 16 if doubtful else 6):
            return None
    elif in_json and head.isalpha():
        return None
    return value.start(), value.end(), f'"{REDACTED}"' if in_json else REDACTED


def _looks_secret(head: str, size: int, least: int) -> bool:
    if size < least or any(char.isspace() for char in head):
        return False
    return size >= 24 or not head.isalpha()


def _closing(text: str, start: int, quote: str, slashes: int) -> int:
    """Return where the quoted value that starts at `start` ends.

    `slashes` is how many backslashes stand before its quotes: JSON inside JSON. Inside the value, a
    backslash is then written as 2 * (slashes + 1) of them, and a quote follows 2 * slashes + 1.
    """
    position = text.find(quote, start)
    while position >= 0:
        run = 0
        while position - run > start and text[position - run - 1] == "\\":
            run += 1
        if run < slashes or run % (2 * (slashes + 1)) == slashes:
            return position - min(run, slashes)
        position = text.find(quote, position + 1)
    return len(text)


_NAMES = {
    "api": r"api[_-]?(?:keys?|secret)",
    "pass": r"pass(?:w(?:or)?d|phrase)",
    "authorization": r"authorization",
    "secret": r"secret(?:[_-]?(?:access[_-]?)?key)?",
    "private": r"private[_-]?key",
    "access": r"access[_-]?key(?:[_-]?id)?",
}
_VAGUE_NAMES = {"token": r"token", "pwd": r"pwd", "cookie": r"cookie"}

_SECRET_ATTRIBUTE = re.compile(
    rf"(?:[\w-]*[_-])?(?:{'|'.join(_NAMES.values())}|cookie"
    r"|(?:access|refresh|auth|bearer|session|id|api)[_-]?token)",
    re.IGNORECASE,
)

_RULES: tuple[tuple[str, Callable[[str, int], Found | None]], ...] = (
    ("bearer", _bearer),
    ("-----begin", _private_key),
    ("://", _url_password),
    *((mark, _named(name)) for mark, name in _NAMES.items()),
    *((mark, _named(name, vague=True)) for mark, name in _VAGUE_NAMES.items()),
)
