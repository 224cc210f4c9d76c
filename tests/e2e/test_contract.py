"""The UI's client is made from what the server says of itself."""

import importlib.util
from pathlib import Path

UI = Path(__file__).parents[2] / "ui"


def test_the_committed_openapi_document_is_current() -> None:
    spec = importlib.util.spec_from_file_location("write_openapi", UI / "write_openapi.py")
    assert spec is not None
    assert spec.loader is not None
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)

    current = writer.document()

    committed = (UI / "openapi.json").read_text("utf-8")
    assert committed == current, "python ui/write_openapi.py && npm --prefix ui run api"
