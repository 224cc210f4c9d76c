"""`--fail-on`: which findings count, and whether a name given for them is one at all."""

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any, Final, get_args

from agenttrace.errors import AgentTraceError
from agenttrace.models import Severity
from agenttrace_server.cli.client import Client
from agenttrace_server.cli.terminal import warn

SEVERITIES: Final[tuple[str, ...]] = get_args(Severity)
"""From harmless to grave."""

Kind = dict[str, Any]
"""Anything with `mode`, `category` and `subcategory`."""


def counts(failure: Kind, fail_on: Sequence[str]) -> bool:
    """Whether a finding counts: nobody rejected it, and it is among what was asked for."""
    if failure["review"] == "rejected":
        return False
    names = set(_names([failure]))
    rank = SEVERITIES.index(failure["severity"])
    return not fail_on or any(
        rank >= SEVERITIES.index(wanted) if wanted in SEVERITIES else wanted in names
        for wanted in map(_plain, fail_on)
    )


def require_known(fail_on: Sequence[str], found: Iterable[Kind], clients: Sequence[Client]) -> None:
    """Raise `AgentTraceError` for a name that no finding could have: it would pass for ever.

    What an installed plugin calls its findings only they tell, so with one it is a warning.
    """
    kinds = list(found)
    for source, listed in (("failure-modes", "items"), ("stats", "failure_modes")):
        if {*map(_plain, fail_on)} <= {*SEVERITIES, *_names(kinds)}:
            return
        kinds += [kind for client in clients for kind in client.get(source)[listed]]
    known = {*SEVERITIES, *_names(kinds)}
    for name in fail_on:
        if _plain(name) in known:
            continue
        near = get_close_matches(_plain(name), known, n=1)
        hint = f"; did you mean {near[0].replace(' ', '_')}?" if near else "."
        if any(map(_has_other_classifiers, clients)):
            warn(f"--fail-on {name}: nothing found so far is called that{hint}")
            continue
        categories, modes = (
            ", ".join(sorted({kind[f] for kind in kinds})) for f in ("category", "mode")
        )
        raise AgentTraceError(
            f"--fail-on {name}: no finding could be called that{hint} Allowed: a severity "
            f"({', '.join(SEVERITIES)}), a category ({categories}), a mode ({modes})"
        )


def _has_other_classifiers(client: Client) -> bool:
    return any(
        "agenttrace_classifiers" in plugin["hooks"] and plugin["package"] != "agenttrace-server"
        for plugin in client.get("plugins")["items"]
    )


def _names(kinds: Iterable[Kind]) -> Iterator[str]:
    for kind in kinds:
        yield from (_plain(kind[field]) for field in ("mode", "category", "subcategory"))


def _plain(name: str) -> str:
    """Taxonomies write their names with spaces, hyphens or underscores."""
    return name.lower().replace("_", " ").replace("-", " ")
