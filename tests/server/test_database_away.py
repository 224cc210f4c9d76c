"""A database that is away or full: 503, nothing acknowledged that is not stored, no restart."""

import resource
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import httpx
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from support import postgres
from support.clients import SPANS, Client, over_grpc, over_http, request, wait_for_more
from support.cluster import Cluster
from support.ports import free_port
from support.server import RunningServer, running_server

PROTOBUF = {"content-type": "application/x-protobuf"}
ROOM = 200_000_000
TEXT = "It is written down once more. " * 3000

if not postgres.can_be_killed():
    pytest.skip("PostgreSQL is not installed here", allow_module_level=True)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = postgres.own_cluster()
    yield cluster
    cluster.remove()


def test_while_the_database_is_stopped_all_is_503_and_then_all_is_there(cluster: Cluster) -> None:
    url, port = cluster.url.render_as_string(hide_password=False), free_port()
    with running_server(database_url=url, grpc_port=port) as server:
        clients = [Client(1, over_http(server.url)), Client(2, over_grpc(port))]
        for client in clients:
            client.start()
        wait_for_more(clients, 5)
        cluster.stop()
        try:
            _, message = request(9, 1)
            refused = post(server, message.SerializeToString())
            stub = TraceServiceStub(grpc.insecure_channel(f"127.0.0.1:{port}"))
            with pytest.raises(grpc.RpcError) as unavailable:
                stub.Export(message, timeout=60)
            health = server.client.get("/health")
            listed = server.client.get("/api/traces")
        finally:
            cluster.start()
        wait_for_more(clients, 5)
        for client in clients:
            client.stop()

        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert refused.headers["content-type"] == PROTOBUF["content-type"]
        assert "database" in Status.FromString(refused.content).message
        assert unavailable.value.code() == grpc.StatusCode.UNAVAILABLE
        details = dict(unavailable.value.trailing_metadata())["grpc-status-details-bin"]
        told = RetryInfo()
        assert Status.FromString(details).details[0].Unpack(told)
        assert told.retry_delay.seconds > 0
        assert (health.status_code, listed.status_code) == (503, 503)
        assert listed.headers["content-type"] == "application/problem+json"
        assert server.get("/health")["status"] == "ok"
        assert all(client.again for client in clients)
        all_is_there(server, clients)


@contextmanager
def small_file() -> Iterator[tuple[str, Callable[[int], None], Callable[[int], None]]]:
    """An SQLite file that the server may not let grow; how to begin that, and to end it."""

    def limit(size: int) -> Callable[[int], None]:
        return lambda pid: resource.prlimit(
            pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY)
        )

    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/traces.db", limit(2_000_000), limit(resource.RLIM_INFINITY)


@contextmanager
def small_disk() -> Iterator[tuple[str, Callable[[int], None], Callable[[int], None]]]:
    """A PostgreSQL on a small disk; how to fill that, and to make room again."""
    tree = postgres.tree()
    with tempfile.TemporaryDirectory(dir=None if tree is None else tree / "tmp") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", folder]
        subprocess.run(mount, check=True)
        try:
            cluster = postgres.own_cluster(data=Path(folder))
            ballast = Path(folder, "ballast")

            def fill(_: int) -> None:
                subprocess.run(["dd", "if=/dev/zero", f"of={ballast}", "bs=64k"], check=False)

            def empty(_: int) -> None:
                ballast.unlink()

            yield cluster.url.render_as_string(hide_password=False), fill, empty
            cluster.remove()
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def may_mount() -> bool:
    """Whether a small disk can be had, for which one has to be root."""
    with tempfile.TemporaryDirectory() as folder:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True)
        if mounted.returncode == 0:
            subprocess.run(["umount", folder], check=True)
    return mounted.returncode == 0


@pytest.mark.parametrize("full", [small_file, *([small_disk] if may_mount() else [])])
def test_on_a_full_disk_all_is_503_and_then_all_is_there(full: Callable[[], object]) -> None:
    with (
        full() as (url, fill, empty),  # type: ignore[attr-defined]
        running_server(database_url=url) as server,
    ):
        clients = [Client(number, over_http(server.url), TEXT) for number in (1, 2)]
        for client in clients:
            client.start()
        wait_for_more(clients, 5)
        fill(server.pid)
        for number in range(300):
            _, message = request(9, number, TEXT)
            refused = post(server, message.SerializeToString())
            if refused.status_code != 200:
                break
        read = server.client.get("/api/traces")
        empty(server.pid)
        wait_for_more(clients, 5)
        for client in clients:
            client.stop()

        assert refused.status_code == 503, refused.status_code
        assert int(refused.headers["retry-after"]) > 0
        assert read.status_code in (200, 503)
        assert server.get("/health")["status"] == "ok"
        all_is_there(server, clients)


def post(server: RunningServer, content: bytes) -> httpx.Response:
    """Send once."""
    return httpx.post(f"{server.url}/v1/traces", content=content, headers=PROTOBUF, timeout=60)


def all_is_there(server: RunningServer, clients: list[Client]) -> None:
    """Fails unless every trace that was acknowledged is stored whole and is analysed."""
    for client in clients:
        for trace_id in client.acknowledged:
            assert server.wait_analysed(trace_id, 120)["span_count"] == SPANS
