"""Rules in a YAML file: failures a team defines itself, in a few lines, without a plugin."""

import logging
from collections.abc import Iterable
from pathlib import Path

from agenttrace.errors import InvalidRules
from agenttrace.hookspecs import hookimpl
from agenttrace_server.yaml_rules.reading import read_rules
from agenttrace_server.yaml_rules.rule import Rule

__all__ = ["RuleFile"]

log = logging.getLogger("agenttrace.rules")


class RuleFile:
    """The plugin that answers with the rules of a file, as they are in it now.

    A file that has become invalid keeps the rules it had before; `error` says why. `required` makes
    a missing file invalid too.
    """

    def __init__(self, path: Path, required: bool = False) -> None:
        self.path = path
        self._required = required
        self.error: str | None = None
        self._stamp: tuple[int, int] | None = (-1, -1)
        self._rules: tuple[Rule, ...] = ()

    def load(self) -> tuple[Rule, ...]:
        """Read the file now; raises `InvalidRules`."""
        self._rules = read_rules(self.path, self._required)
        self.error = None
        return self._rules

    @hookimpl
    def agenttrace_classifiers(self) -> Iterable[Rule]:
        """Find what the rules describe; asked once per trace, so that an edit takes effect."""
        stamp = self._now()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self.load()
            except InvalidRules as error:
                self.error = str(error)
                log.error("%s; the rules from before stay in use", error)
            else:
                log.debug("%s: %d rules", self.path, len(self._rules))
        return self._rules

    def _now(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size
