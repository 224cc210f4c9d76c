import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agenttrace.imports import ImportWatch


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Packages to import: a normal one, one in two packages that need each other, a namespace."""
    files = {
        "alib/__init__.py": "from alib import part\nready = True\n",
        "alib/part.py": "import inspect\nloader = __spec__.loader\nvalue = 1\n",
        "alib/data.txt": "data",
        "acore/__init__.py": "value = 1\n",
        "achat/__init__.py": "import acore\nfrom achat import late\nready = True\n",
        "achat/late.py": "value = 2\n",
        "anamespace/inner/__init__.py": "value = 3\n",
        "abroken.py": "raise ValueError('broken')\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [n for n in sys.modules if n.startswith(("alib", "acore", "achat", "anamespace"))]:
        del sys.modules[name]


class Calls:
    """Remembers what of a module was there when it was called."""

    def __init__(self, module: str) -> None:
        self.module = module
        self.ready: list[bool] = []

    def __call__(self) -> None:
        self.ready.append(hasattr(sys.modules.get(self.module), "ready"))


def finders() -> list[str]:
    return [type(finder).__module__ for finder in sys.meta_path]


def test_it_calls_once_when_the_package_is_complete(library: Path) -> None:
    calls = Calls("alib")
    ImportWatch(["alib"], calls).start()
    assert calls.ready == []
    assert "alib" not in sys.modules

    importlib.import_module("alib.part")

    assert calls.ready == [True]
    assert "agenttrace.imports" not in finders()


def test_it_calls_at_once_when_the_package_is_there(library: Path) -> None:
    importlib.import_module("alib")
    calls = Calls("alib")

    ImportWatch(["alib"], calls).start()

    assert calls.ready == [True]


def test_packages_that_need_each_other_are_waited_for_together(library: Path) -> None:
    calls = Calls("achat")
    ImportWatch(["acore", "achat"], calls).start()

    importlib.import_module("achat")

    assert calls.ready == [True]


def test_a_namespace_package_counts_from_its_first_module_on(library: Path) -> None:
    calls = Calls("anamespace.inner")
    ImportWatch(["anamespace"], calls).start()

    importlib.import_module("anamespace.inner")

    assert len(calls.ready) == 1


def test_modules_see_their_own_loader(library: Path) -> None:
    watch = ImportWatch(["alib"], lambda: None)
    watch.start()

    part = importlib.import_module("alib.part")

    assert part.loader is part.__loader__ is part.__spec__.loader
    assert type(part.loader).__name__ == "SourceFileLoader"
    assert "value = 1" in inspect.getsource(part)


def test_a_watch_that_is_stopped_never_calls(library: Path) -> None:
    calls = Calls("alib")
    watch = ImportWatch(["alib"], calls)
    watch.start()

    watch.stop()
    importlib.import_module("alib")

    assert calls.ready == []
    assert "agenttrace.imports" not in finders()


def test_an_import_that_fails_fails_as_ever_and_is_still_waited_for(library: Path) -> None:
    calls = Calls("abroken")
    ImportWatch(["abroken"], calls).start()

    with pytest.raises(ValueError, match="broken"):
        importlib.import_module("abroken")
    (library / "abroken.py").write_text("ready = True\n")
    assert calls.ready == []
    importlib.invalidate_caches()
    importlib.import_module("abroken")

    assert calls.ready == [True]
    del sys.modules["abroken"]


def test_a_module_that_is_not_there_is_not_found_as_ever(library: Path) -> None:
    watch = ImportWatch(["amissing"], lambda: None)
    watch.start()

    with pytest.raises(ModuleNotFoundError, match="No module named 'amissing'"):
        importlib.import_module("amissing")

    watch.stop()
