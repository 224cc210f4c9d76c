import logging
from collections.abc import Iterable
from importlib.metadata import EntryPoint

import pytest

from agenttrace import plugins as plugins_module
from agenttrace.hookspecs import hookimpl
from agenttrace.models import Message, Normalizer, Scope, Trace
from agenttrace.plugins import PluginInfo, Plugins, load_plugins


class Good:
    @hookimpl
    def agenttrace_messages(self, trace: Trace) -> Iterable[Message]:
        return []


class Misspelt:
    @hookimpl
    def agenttrace_mesages(self, trace: Trace) -> Iterable[Message]:
        return []


class WrongArguments:
    @hookimpl
    def agenttrace_messages(self, trays: Trace) -> Iterable[Message]:
        return []


class Raising:
    @hookimpl
    def agenttrace_messages(self, trace: Trace) -> Iterable[Message]:
        raise RuntimeError("no idea")

    @hookimpl
    def agenttrace_normalizer(self, scope: Scope) -> Normalizer | None:
        raise RuntimeError("no idea either")


class Silent:
    @hookimpl
    def agenttrace_messages(self, trace: Trace) -> None:
        return None


def test_a_plugin_is_listed_with_the_hooks_it_answers() -> None:
    plugins = Plugins()

    plugins.register(Good(), "good", "good-package", "1.2")

    expected = PluginInfo("good", "good-package", "1.2", ("agenttrace_messages",))
    assert plugins.infos == (expected,)


@pytest.mark.parametrize(
    ("plugin", "said"), [(Misspelt(), "agenttrace_mesages"), (WrongArguments(), "trays")]
)
def test_a_plugin_that_breaks_its_contract_is_refused_with_the_reason(
    plugin: object, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    plugins = Plugins()

    plugins.register(plugin, "bad")
    plugins.register(Good(), "good")

    bad, good = plugins.infos
    assert said in (bad.error or "")
    assert bad.hooks == ()
    assert good.error is None
    assert "'bad'" in caplog.text
    assert [name for name, _ in plugins.each("agenttrace_messages", trace=Trace("a"))] == ["good"]


def test_a_raising_plugin_costs_its_answer_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    plugins = Plugins()
    plugins.register(Raising(), "raising")
    plugins.register(Good(), "good")

    for _ in range(3):
        answers = list(plugins.each("agenttrace_messages", trace=Trace("a")))
        assert answers == [("good", [])]
        assert plugins.first("agenttrace_normalizer", scope=Scope()) is None

    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(logged) == 2  # once for each of its hooks
    assert all("'raising'" in record.getMessage() for record in logged)


def test_a_plugin_without_an_answer_leaves_it_to_the_next() -> None:
    plugins = Plugins()
    plugins.register(Good(), "good")
    plugins.register(Silent(), "silent")

    assert plugins.first("agenttrace_messages", trace=Trace("a")) == []


def test_the_plugin_registered_last_is_asked_first() -> None:
    plugins = Plugins()
    plugins.register(Good(), "one")
    plugins.register(Good(), "two")

    asked = [name for name, _ in plugins.each("agenttrace_messages", trace=Trace("a"))]

    assert asked == ["two", "one"]


def test_the_same_name_twice_is_refused_but_the_first_works_on() -> None:
    plugins = Plugins()
    plugins.register(Good(), "good")

    plugins.register(Good(), "good")

    assert plugins.first("agenttrace_messages", trace=Trace("a")) == []
    assert [info.error is None for info in plugins.infos] == [True, False]


class TestInstalled:
    def test_a_plugin_that_cannot_be_imported_is_reported_and_the_others_load(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        points = [
            EntryPoint("broken", "agenttrace_no_such_module", "agenttrace"),
            EntryPoint("fine", "tests_fine_plugin", "agenttrace"),
        ]
        monkeypatch.setattr(plugins_module, "entry_points", lambda group: points)
        monkeypatch.setitem(__import__("sys").modules, "tests_fine_plugin", Good())  # type: ignore[arg-type]

        plugins = Plugins().load()

        broken, fine = plugins.infos
        assert "No module named 'agenttrace_no_such_module'" in (broken.error or "")
        assert fine.error is None
        assert "'broken'" in caplog.text

    def test_the_built_in_reader_is_always_there_and_asked_last(self) -> None:
        plugins = load_plugins()

        answers = [name for name, _ in plugins.each("agenttrace_normalizer", scope=Scope("mine"))]

        assert answers[-1] == "genai"

    def test_every_installed_plugin_of_ours_works(self) -> None:
        assert {info.name: info.error for info in load_plugins().infos if info.error} == {}
