"""Requests made from the OpenAPI document, good and bad: none is the server's fault.

`AGENTTRACE_TEST_REQUESTS` says how many of each operation to try.
"""

import os
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from agenttrace_server.app import create_app
from agenttrace_server.settings import Settings
from support import captures
from support.receiver import Receiver, served

REQUESTS = int(os.environ.get("AGENTTRACE_TEST_REQUESTS", "6"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

schema = schemathesis.openapi.from_dict(create_app(Settings()).openapi())
# It waits for half a minute where nothing is to be done, as it should.
schema = schema.exclude(path="/api/workers/claim")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with served(tmp_path_factory.mktemp("schema")) as server:
        for name in ("otel-proto_trace", "autogen-0.7.5-builtin-swarm"):
            server.post(captures.body(name), "application/json")
        yield server


@schema.parametrize()
@settings(
    max_examples=REQUESTS,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_what_the_document_allows_or_forbids_is_answered_as_it_says(
    case: schemathesis.Case, server: Receiver
) -> None:
    case.call_and_validate(base_url=server.url, checks=CHECKS)
