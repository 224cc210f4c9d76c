"""Capture on for one test, and nothing open when it ends."""

from collections.abc import Iterator

import pytest

from agenttrace_langgraph.capture import LangGraphInstrumentor
from support.recorded import Recorded, recorded


@pytest.fixture
def run() -> Iterator[Recorded]:
    capture = LangGraphInstrumentor()
    with recorded(capture) as found:
        yield found
        assert capture.sizes() == {"runs": 0}
