import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from agenttrace import hookspecs
from agenttrace_server.cli import app
from agenttrace_server.yaml_rules.reading import read_rules
from support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("agenttrace-*/*.md")],
    key=str,
)
FORWARDED = {"run", "worker", "doctor"}


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", document.read_text("utf-8"), re.M | re.S)


def named(documents: list[Path]) -> list[object]:
    return [pytest.param(path, id=str(path.relative_to(ROOT))) for path in documents]


@pytest.mark.parametrize("document", named([d for d in DOCUMENTS if blocks(d, "python")]))
def test_the_python_of_a_document_runs_from_top_to_bottom(document: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("\n\n".join(blocks(document, "python")), "utf-8")
    nobody = f"http://127.0.0.1:{free_port()}"

    done = subprocess.run(
        [sys.executable, program],
        env={
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": nobody,
            "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        },
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("document", named(DOCUMENTS))
def test_every_link_of_a_document_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8"))

    for link in links:
        path, _, anchor = link.partition("#")
        if "://" in path:
            continue
        target = (document.parent / path) if path else document
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("document", named([d for d in DOCUMENTS if blocks(d, "sh")]))
def test_every_command_in_a_document_exists_with_its_options(document: Path) -> None:
    lines = "\n".join(blocks(document, "sh")).replace("\\\n", " ").splitlines()

    for line in lines:
        words = shlex.split(line, comments=True)
        if "agenttrace" not in words or "compose" in words:
            continue
        arguments = words[words.index("agenttrace") + 1 :]
        command = typer.main.get_command(app)
        while arguments and isinstance(command, typer.core.TyperGroup):
            found = command.commands.get(arguments[0])
            assert found is not None, line
            command, arguments = found, arguments[1:]
        if command.name not in FORWARDED:
            known = {name for parameter in command.params for name in parameter.opts}
            options = {a.partition("=")[0] for a in arguments if a.startswith("--")}
            assert options <= known, line


def test_the_rules_in_the_documents_are_rules(tmp_path: Path) -> None:
    [text] = blocks(ROOT / "docs/failures.md", "yaml")
    (tmp_path / "rules.yaml").write_text(text, "utf-8")

    assert len(read_rules(tmp_path / "rules.yaml")) == 2


def test_each_hook_has_a_heading_with_its_exact_signature() -> None:
    source = ast.parse(Path(hookspecs.__file__).read_text("utf-8"))
    hooks = [node for node in source.body if isinstance(node, ast.FunctionDef)]
    signatures = [f"{h.name}({ast.unparse(h.args)}) -> {ast.unparse(h.returns)}" for h in hooks]  # type: ignore[arg-type]
    text = (ROOT / "docs/writing-a-plugin.md").read_text("utf-8")

    headings = re.findall(r"^### `(agenttrace_.*)`$", text, re.M)

    assert headings == signatures


def test_the_derived_documents_are_current() -> None:
    script = ROOT / "docs/make_reference.py"

    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def anchors(document: Path) -> set[str]:
    """GitHub's rule: lower case, punctuation gone, spaces to hyphens."""
    headings = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}
