"""Agents' names: within a team AutoGen appends the team's id to each."""

import re

_TEAM = re.compile(r"_([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})(?=$|[/.])")


def team_of(text: object) -> str | None:
    """The id of the team in an agent's id or a topic, such as `writer_<uuid>/<uuid>`."""
    found = _TEAM.search(text) if isinstance(text, str) else None
    return found[1] if found else None


def bare(name: object) -> str:
    """An agent's name without the id of its team."""
    return _TEAM.sub("", str(name))
