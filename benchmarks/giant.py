"""One trace of 200,000 spans while small ones keep coming: how long those wait, and what it takes.

The baseline of each wait is that of the same small traces before the giant came.

    python benchmarks/giant.py [--spans 200000] [--seconds 30] [--only TimescaleDB]
"""

import argparse
import re
import statistics
import subprocess
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from databases import add_options, chosen, database
from load import SPANS, Load, Server, bodies, request, running
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from sqlalchemy.engine import URL
from store_read import report

TRACE = b"\xff" * 16


def giant(spans: int) -> list[bytes]:
    """Return requests with the spans of one trace."""
    found = []
    for start in range(0, spans, SPANS):
        message = ExportTraceServiceRequest.FromString(request(start))
        for span in message.resource_spans[0].scope_spans[0].spans:
            span.trace_id = TRACE
        found.append(message.SerializeToString())
    return found


class Waits(threading.Thread):
    """Sends one small trace after the other and asks until each is analysed."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._address = urlsplit(url)
        self._ended = threading.Event()
        self.waits: list[float] = []

    def run(self) -> None:
        """Work until `stop`."""
        http = HTTPConnection(self._address.hostname or "", self._address.port or 0, timeout=300)
        number = 0
        while not self._ended.wait(0.2):
            number += 1
            message = ExportTraceServiceRequest.FromString(request(number))
            spans = message.resource_spans[0].scope_spans[0].spans
            del spans[32:]
            http.request("POST", "/v1/traces", message.SerializeToString(), _HEADERS)
            http.getresponse().read()
            began = time.monotonic()
            while not analysed(http, spans[0].trace_id.hex()):
                time.sleep(0.05)
            self.waits.append(time.monotonic() - began)

    def stop(self) -> list[float]:
        """Return how many seconds each small trace waited."""
        self._ended.set()
        self.join()
        return self.waits


_HEADERS = {"Content-Type": "application/x-protobuf"}


def analysed(http: HTTPConnection, trace_id: str) -> bool:
    """Whether everything derived from a trace is up to date."""
    http.request("GET", f"/api/traces/{trace_id}")
    response = http.getresponse()
    body = response.read()
    return response.status == 200 and bool(msgspec.json.decode(body)["analysed"])


def measure(kind: str, server: URL | None, spans: int, seconds: float) -> None:
    """Small traces alone, then beside the giant."""
    with database(server) as url, running(url, analysis=True) as whole:
        Load(whole.url, 5).send(bodies(4))  # so that nothing is for the first time
        before = Waits(whole.url)
        before.start()
        time.sleep(seconds)
        alone = before.stop()
        beside = Waits(whole.url)
        beside.start()
        most = Most(whole)
        began = time.monotonic()
        Load(whole.url, 600).send(giant(spans))
        address = urlsplit(whole.url)
        http = HTTPConnection(address.hostname or "", address.port or 0, timeout=300)
        while not analysed(http, TRACE.hex()):
            time.sleep(0.5)
        took = time.monotonic() - began
        waited = beside.stop()
        memory = most.stop()
    name = f"{kind}: a small trace's wait beside one of {spans} spans"
    for which, of in (("median", statistics.median), ("longest", max)):
        report(f"{name}, {which}", of(waited), "s", 10, baseline=round(of(alone), 2))
    report(f"{kind}: {spans} spans of one trace taken in and analysed", took, "s", 300)
    report(f"{kind}: memory of the analysis meanwhile, most", memory, "MB", 2000)


class Most(threading.Thread):
    """Notes the most memory that the server's analysis process has."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        listed = ["ps", "-o", "pid=", "--ppid", str(server.pid)]
        self._pid = subprocess.run(listed, capture_output=True, text=True).stdout.split()[0]
        self._ended = threading.Event()
        self._most = 0.0
        self.start()

    def run(self) -> None:
        """Look until `stop`."""
        while not self._ended.wait(0.2):
            found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{self._pid}/status").read_text())
            self._most = int(found[1]) / 1024 if found else self._most

    def stop(self) -> float:
        """Return the most megabytes."""
        self._ended.set()
        self.join()
        return self._most


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--spans", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=15)
    add_options(parser)
    options = parser.parse_args()
    for kind, server in chosen(options):
        measure(kind, server, options.spans, options.seconds)


if __name__ == "__main__":
    main()
