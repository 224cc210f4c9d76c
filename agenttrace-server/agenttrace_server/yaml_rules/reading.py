"""Read a file of rules, and say exactly what is wrong with it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_args

from agenttrace.errors import InvalidRules
from agenttrace.models import Severity
from agenttrace_server.taxonomy import mode_of
from agenttrace_server.yaml_rules.conditions import NUMERIC, Condition, condition
from agenttrace_server.yaml_rules.fields import Subject, known, names
from agenttrace_server.yaml_rules.place import Place, read_document
from agenttrace_server.yaml_rules.rule import PLACEHOLDER, Rule

SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
KEYS: Final = (
    "mode",
    "span",
    "message",
    "count",
    "per",
    "severity",
    "category",
    "confidence",
    "explain",
)
_BEGINS: Final = "the file begins with `rules:`, then one `- mode: …` each"
LARGEST: Final = 1024 * 1024
MOST_RULES: Final = 500


def read_rules(path: Path, required: bool = True) -> tuple[Rule, ...]:
    """Return the rules of a file; none where there is no file and none is required.

    Raises `InvalidRules`, whose message names file, line, rule and field, and what is allowed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        if not required and isinstance(error, FileNotFoundError):
            return ()
        raise InvalidRules(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(data) > LARGEST:
        raise InvalidRules(f"{path}: larger than {LARGEST // 1024} KiB")
    document, place = read_document(data, str(path))
    return tuple(_rules(document, place))


def _rules(document: Any, place: Place) -> list[Rule]:
    if document is None:
        return []
    listed, where = document, place
    if isinstance(document, Mapping):
        for key in document:
            if key != "rules":
                raise InvalidRules(f"{place.at(str(key))}: unknown; {_BEGINS}")
        listed, where = document.get("rules"), place.at("rules")
    if not isinstance(listed, list):
        raise InvalidRules(f"{where}: no list of rules; {_BEGINS}")
    if len(listed) > MOST_RULES:
        raise InvalidRules(f"{where}: more than {MOST_RULES} rules")
    return [_rule(given, where.rule(number)) for number, given in enumerate(listed, start=1)]


def _rule(given: Any, where: Place) -> Rule:
    if not isinstance(given, Mapping):
        raise InvalidRules(f"{where}: {given!r} is no mapping; it has the keys {', '.join(KEYS)}")
    mode = str(given.get("mode") or "").strip()
    if not mode:
        raise InvalidRules(f"{where}: mode: missing; a name such as slow_search, or 1.3 of MAST")
    where = where.of_mode(mode)
    for key in given:
        if key not in KEYS:
            raise InvalidRules(f"{where.at(str(key))}: unknown; allowed: {', '.join(KEYS)}")
    subject = _subject(given, where)
    named = mode_of(mode)
    count, per = _count(given, subject, where)
    category = given.get("category")
    return Rule(
        mode,
        subject,
        _conditions(given[subject], subject, where.at(subject)),
        category=str(category) if category else named.category,
        subcategory=named.subcategory,
        severity=_severity(given.get("severity", "medium"), where),
        confidence=_confidence(given.get("confidence", 1.0), where),
        explain=_template(given.get("explain"), subject, mode, where),
        count=count,
        per=per,
    )


def _subject(given: Mapping[str, Any], where: Place) -> Subject:
    if ("span" in given) == ("message" in given):
        raise InvalidRules(f"{where}: needs `span:` or `message:`, one of them, with conditions")
    return "span" if "span" in given else "message"


def _conditions(given: Any, subject: Subject, where: Place) -> dict[str, Condition]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InvalidRules(f"{where}: {given!r} is no mapping of fields to conditions")
    return {
        _field(str(name), subject, where.at(str(name))): condition(wanted, where.at(str(name)))
        for name, wanted in given.items()
    }


def _count(
    given: Mapping[str, Any], subject: Subject, where: Place
) -> tuple[Condition | None, str | None]:
    per = given.get("per")
    if "count" not in given:
        if per is not None:
            raise InvalidRules(f"{where.at('per')}: only with count, which it divides into groups")
        return None, None
    wanted = given["count"]
    # A bare number reads as "this many and more", which is what anyone means by it.
    wanted = {"at_least": wanted} if isinstance(wanted, int) else wanted
    if not isinstance(wanted, Mapping) or not set(wanted) <= set(NUMERIC):
        raise InvalidRules(
            f"{where.at('count')}: a number, or one of {', '.join(NUMERIC)} with one"
        )
    if per is not None:
        _field(str(per), subject, where.at("per"))
    return condition(wanted, where.at("count")), None if per is None else str(per)


def _field(name: str, subject: Subject, where: Place) -> str:
    if not known(subject, name):
        raise InvalidRules(
            f"{where}: {name!r} is no field of a {subject}; allowed: {names(subject)}"
        )
    return name


def _severity(given: Any, where: Place) -> Severity:
    for severity in SEVERITIES:
        if given == severity:
            return severity
    raise InvalidRules(f"{where.at('severity')}: {given!r}; allowed: {', '.join(SEVERITIES)}")


def _confidence(given: Any, where: Place) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= 1:
        raise InvalidRules(f"{where.at('confidence')}: {given!r}; allowed: a number from 0 to 1")
    return float(given)


def _template(given: Any, subject: Subject, mode: str, where: Place) -> str:
    if given is None:
        return f"The rule {mode} applies."
    if not isinstance(given, str):
        raise InvalidRules(f"{where.at('explain')}: {given!r} is no text")
    for name in PLACEHOLDER.findall(given):
        if name != "count":
            _field(name, subject, where.at("explain"))
    return given
