"""The classifiers a server has beside the installed plugins: a file of rules, a judge."""

from importlib.metadata import version

from agenttrace.plugins import Plugins, load_plugins
from agenttrace_server.judge import Judge
from agenttrace_server.yaml_rules import RuleFile

_PACKAGE = "agenttrace-server"


def load(rules: RuleFile, judge: Judge | None = None) -> Plugins:
    """Return every installed plugin, and those that settings switch on."""
    plugins = load_plugins()
    installed = version(_PACKAGE)
    plugins.register(rules, "rules", _PACKAGE, installed)
    if judge is not None:
        plugins.register(judge, "judge", _PACKAGE, installed)
    return plugins
