"""What `check` found, in the forms that CI systems read: JUnit, SARIF, Markdown."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import quote
from xml.etree import ElementTree

from agenttrace_server.cli.traces import clip, named

Checked = dict[str, Any]
"""A trace that was checked: `source`, `trace_id`, `name`, `agents`, `decisive`, the `failures` that
count, and how many `others` there are."""

QUOTE: Final = 500
_LEVELS: Final = {"low": "note", "medium": "warning", "high": "error", "critical": "error"}
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SARIF: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def junit(found: Iterable[Checked]) -> str:
    """Return JUnit XML: a suite for each trace, a failed case for each finding, else a passed one.

    Nothing says how long a case took: it is not the run's time that is tested.
    """
    suites = ElementTree.Element("testsuites", name="agenttrace check")
    total = failed = 0
    for trace in found:
        failures = trace["failures"]
        cases = max(1, len(failures))
        total, failed = total + cases, failed + len(failures)
        suite = ElementTree.SubElement(
            suites,
            "testsuite",
            name=_xml(f"{trace['name']} ({trace['trace_id']})"),
            tests=str(cases),
            failures=str(len(failures)),
            errors="0",
            skipped="0",
        )
        source = _xml(trace["source"])
        if not failures:
            ElementTree.SubElement(suite, "testcase", classname=source, name="no failure")
        for failure in failures:
            case = ElementTree.SubElement(
                suite, "testcase", classname=source, name=_xml(headline(failure))
            )
            said = ElementTree.SubElement(
                case, "failure", type=_xml(failure["mode"]), message=_xml(failure["explanation"])
            )
            said.text = _xml("\n".join(_details(failure)))
    suites.set("tests", str(total))
    suites.set("failures", str(failed))
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def sarif(found: Iterable[Checked]) -> str:
    """Return SARIF 2.1.0, one result for each finding: what code scanning pages show.

    A finding in a file points at the file; its span, message and agent are logical locations.
    """
    results: list[dict[str, Any]] = []
    rules: dict[str, dict[str, Any]] = {}
    for trace in found:
        for failure in trace["failures"]:
            rules.setdefault(failure["mode"], _rule(failure))
            results.append(_result(trace, failure, list(rules).index(failure["mode"])))
    driver = {
        "name": "agenttrace",
        "version": version("agenttrace-server"),
        "rules": list(rules.values()),
    }
    log = {"$schema": _SARIF, "version": "2.1.0", "runs": [{"tool": {"driver": driver}}]}
    log["runs"][0]["results"] = results  # type: ignore[index]
    return json.dumps(log, ensure_ascii=False, indent=2) + "\n"


def markdown(found: Iterable[Checked]) -> str:
    """Return Markdown, for a job's summary or a comment on a pull request."""
    lines: list[str] = []
    for trace in found:
        lines += [f"### {_plain(trace['name'])} `{trace['trace_id']}`", ""]
        step = trace["decisive"]
        if step and trace["failures"]:
            reasons = "; ".join(step["reasons"])
            lines += [f"Where it went wrong: **{_plain(step['agent'])}**. {_plain(reasons)}.", ""]
        if not trace["failures"]:
            lines += [none_found(trace), ""]
            continue
        lines += ["| Failure | Severity | Agent | What happened |", "|---|---|---|---|"]
        for failure in trace["failures"]:
            quoted = f" <q>{_plain(clip(failure['evidence'], 200))}</q>"
            what = _plain(failure["explanation"]) + (quoted if failure["evidence"] else "")
            cells = (
                _plain(named(failure)),
                failure["severity"],
                _plain(failure["agent"] or ""),
                what,
            )
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def none_found(trace: Checked) -> str:
    """Return what is said of a trace without a finding that counts."""
    if not trace["others"]:
        return "No failures found."
    return f"No failures that count; {trace['others']} of other modes or severities."


WRITERS: Final[Mapping[str, Callable[[Iterable[Checked]], str]]] = {
    "junit": junit,
    "sarif": sarif,
    "markdown": markdown,
}


def headline(failure: Mapping[str, Any]) -> str:
    """Return in a few words what it is and whose."""
    agent = f" · {failure['agent']}" if failure["agent"] else ""
    return f"{named(failure)}{agent}"


def _details(failure: Mapping[str, Any]) -> list[str]:
    finders = ", ".join([failure["classifier"], *failure["also_by"]])
    lines = [
        f"severity: {failure['severity']}, confidence: {failure['confidence']:.2f}",
        f"found by: {finders}",
    ]
    for place in ("span_id", "message_id"):
        if failure[place]:
            lines.append(f"{place.removesuffix('_id')}: {failure[place]}")
    if failure["evidence"]:
        lines.append(f"“{clip(failure['evidence'], QUOTE)}”")
    return lines


def _rule(failure: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": failure["mode"],
        "name": "".join(part.title() for part in failure["subcategory"].split("_")),
        "shortDescription": {"text": named(failure)},
        "properties": {"tags": [failure["category"]]},
    }


def _result(trace: Checked, failure: Mapping[str, Any], rule: int) -> dict[str, Any]:
    quoted = f" “{clip(failure['evidence'], QUOTE)}”" if failure["evidence"] else ""
    logical = [
        {"name": failure[key], "kind": kind}
        for key, kind in (("agent", "agent"), ("span_id", "span"), ("message_id", "message"))
        if failure[key]
    ]
    location: dict[str, Any] = {"logicalLocations": logical} if logical else {}
    if trace["is_file"]:
        location["physicalLocation"] = {
            "artifactLocation": {"uri": quote(trace["source"].replace("\\", "/"))},
            "region": {"startLine": 1},
        }
    return {
        "ruleId": failure["mode"],
        "ruleIndex": rule,
        "level": _LEVELS[failure["severity"]],
        "message": {"text": failure["explanation"] + quoted},
        "locations": [location] if location else [],
        "partialFingerprints": {"agenttrace/v1": failure["annotation_id"]},
        "properties": {
            "traceId": trace["trace_id"],
            "confidence": failure["confidence"],
            "classifier": failure["classifier"],
        },
    }


def _xml(text: str) -> str:
    """XML 1.0 has no way to write most control characters."""
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _plain(text: str) -> str:
    """Traces hold anything: nothing in them may become markup, a link or a mention."""
    line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*_{}\[\]|~#])", r"\\\1", line)
    return line.replace("@", "@\N{ZERO WIDTH NON-JOINER}")
