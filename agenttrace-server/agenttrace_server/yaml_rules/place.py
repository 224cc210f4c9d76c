"""Where in a file of rules something stands, as an error names it: file, line, rule, field."""

from collections.abc import Iterator
from typing import Any

import yaml

from agenttrace.errors import InvalidRules


class Place:
    """The place of a value: `rules.yaml:7: rule 2 (excuse): message.content` as a text."""

    def __init__(
        self,
        path: str,
        node: yaml.Node | None,
        line: int = 0,
        rule: str = "",
        fields: tuple[str, ...] = (),
    ) -> None:
        self._path = path
        self._node = node
        self._line = line
        self._rule = rule
        self._fields = fields

    def __str__(self) -> str:
        where = f"{self._path}:{self._line}" if self._line else self._path
        return ": ".join(filter(None, (where, self._rule, ".".join(self._fields))))

    def at(self, field: str) -> "Place":
        """Return the place of a field; on the line of the whole where it is not written there."""
        for key, value in _pairs(self._node):
            if key.value == field:
                node, line = value, _line(key)
                break
        else:
            node, line = None, self._line
        return Place(self._path, node, line, self._rule, (*self._fields, field))

    def rule(self, number: int) -> "Place":
        """Return the place of a rule in this list, counted from 1."""
        listed = self._node.value if isinstance(self._node, yaml.SequenceNode) else []
        node = listed[number - 1]
        return Place(self._path, node, _line(node), f"rule {number}")

    def of_mode(self, mode: str) -> "Place":
        """Return the same place, of a rule whose mode is known."""
        return Place(self._path, self._node, self._line, f"{self._rule} ({mode})", self._fields)


def read_document(data: bytes, path: str) -> tuple[Any, Place]:
    """Return what a YAML document says, and where; raises `InvalidRules`."""
    try:
        loader = yaml.SafeLoader(data)
        node = loader.get_single_node()
        _refuse_what_is_given_twice(node, path)
        document = None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        raise InvalidRules(f"{path}: no YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise InvalidRules(f"{path}: nested too deep") from None
    return document, Place(path, node)


def _refuse_what_is_given_twice(node: yaml.Node | None, path: str) -> None:
    """YAML would take the last one, and leave a rule without half of its conditions."""
    waiting, seen = [node], set()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, yaml.SequenceNode):
            waiting += one.value
        keys = set()
        for key, value in _pairs(one):
            waiting.append(value)
            if isinstance(key.value, str) and key.value in keys:
                raise InvalidRules(f"{path}:{_line(key)}: {key.value}: is given twice")
            keys.add(str(key.value))


def _pairs(node: yaml.Node | None) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        yield from node.value


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
