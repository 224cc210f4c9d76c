"""The UI's files: what is cached, what is not, and what is never served."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from agenttrace_server import problems
from agenttrace_server.guard import Guard
from agenttrace_server.pages import Pages
from agenttrace_server.settings import Settings


@pytest.fixture
def static(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text('<html><head><base href="/old/"><title>UI</title></head>')
    (folder / "assets" / "app-1a2b.js").write_text("1")
    (folder / "icon.svg").write_text("<svg/>")
    (tmp_path / "secret.txt").write_text("what nobody may read")
    return folder


@pytest.fixture
def client(static: Path) -> TestClient:
    return TestClient(served(static))


def served(static: Path, root_path: str = "") -> FastAPI:
    app = FastAPI()
    app.add_middleware(Guard, settings=Settings(root_path=root_path))
    problems.install(app)
    app.router.default = Pages(static)
    return app


def test_every_address_of_the_ui_is_its_one_page(client: TestClient) -> None:
    for path in ("/", "/index.html", "/traces", "/traces/0123/spans/4567"):
        page = client.get(path)
        assert page.status_code == 200, path
        assert page.text == '<html><head><base href="/"><title>UI</title></head>'
        assert page.headers["cache-control"] == "no-cache"
        assert page.headers["content-security-policy"].startswith("default-src 'self';")
    assert client.head("/traces").status_code == 200


def test_assets_may_be_kept_for_ever_and_other_files_not(client: TestClient) -> None:
    assert "immutable" in client.get("/assets/app-1a2b.js").headers["cache-control"]
    icon = client.get("/icon.svg")
    assert icon.headers["cache-control"] == "no-cache"
    assert icon.headers["content-type"].startswith("image/svg+xml")


def test_files_that_are_not_there_are_not_found(client: TestClient) -> None:
    for path in ("/assets/old-9z.js", "/robots.txt", "/assets/", "/api", "/api/x", "/v1/x"):
        assert client.get(path).status_code == 404, path
    assert client.post("/traces").status_code == 404
    assert client.get(f"/{'long' * 5000}.js").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/..%5csecret.txt",
        "/%00",
        "//etc/passwd",
        "/assets//etc/passwd",
    ],
)
def test_nothing_outside_the_folder_is_served(client: TestClient, path: str) -> None:
    answer = client.get(path)

    assert "nobody may read" not in answer.text
    assert "root:" not in answer.text
    assert answer.status_code in (200, 404)


def test_a_link_out_of_the_folder_is_not_followed(static: Path, client: TestClient) -> None:
    (static / "out.txt").symlink_to(static.parent / "secret.txt")

    assert client.get("/out.txt").status_code == 404


def test_the_page_learns_its_prefix(static: Path) -> None:
    client = TestClient(served(static, root_path='/a"b'))

    assert '<base href="/a&quot;b/">' in client.get("/traces").text


def test_without_a_built_ui_the_page_says_how_to_build_it(tmp_path: Path) -> None:
    page = TestClient(served(tmp_path / "nothing")).get("/")

    assert page.status_code == 200
    assert "uv run nox -s ui" in page.text
