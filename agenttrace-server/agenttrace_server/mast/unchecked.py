"""MAST 3.2 and 3.3: results that nobody checked, or that were taken on one look."""

import re
from collections.abc import Callable, Iterator
from typing import Final

from agenttrace.models import USER, FailureAnnotation, Span
from agenttrace_server.mast import signs
from agenttrace_server.mast.finding import quote
from agenttrace_server.mast.hinted import Hinted
from agenttrace_server.mast.modes import mode_found
from agenttrace_server.mast.peers import fails
from agenttrace_server.mast.talk import Said, Talk

_CODE: Final = re.compile(r"```.*?```", re.DOTALL)
_COMMENT: Final = re.compile(r"#[^\n]*")
_NAME: Final = re.compile(r"[^\W\d]\w*")
_FIGURE: Final = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
_RESULT: Final = re.compile(r"(?:^|[:=$])\s*(?P<figure>-?\d+(?:,\d{3})*(?:\.\d+)?)\s*$")
_CHECK: Final = re.compile(
    r"check|verif|confirm|review|validat|\btest|audit|proof|sanity|make sure", re.IGNORECASE
)
_FROM_TWO: Final = (
    *("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
_SPELT: Final = {
    **{name: float(value) for value, name in enumerate(_FROM_TWO, 2)},
    "half": 0.5,
    "twice": 2.0,
    "double": 2.0,
    "dozen": 12.0,
}
_PLAIN: Final = frozenset((0.0, 1.0, 2.0, 100.0))
"""Figures that code may bring in without anyone having given them."""

_EDITS: Final = re.compile(r"edit|patch|replace|insert|apply|write_?(?:file|code)", re.IGNORECASE)
_EDIT_SAID: Final = Hinted(
    {
        r"\bedit\w*\b[\w.]*\(": ("edit",),
        r"\bapply_patch\b|\bpatch\s*=": ("patch",),
        r"^\+\+\+ \S": ("+++ ",),
    },
    re.MULTILINE,
)
_RUN_SAID: Final = Hinted(
    {
        r"```(?:bash|sh|shell)\b": ("```bash", "```sh"),
        r"\bpytest\b|\bnpm test\b": ("pytest", "npm test"),
        r"\bpython3? [\w/.-]+\.py\b|\bpython3? -[cm] ": ("python",),
    },
    re.NOFLAG,
)
_SOURCE: Final = re.compile(
    r"\.(?:py|js|ts|tsx|java|go|rs|c|cc|cpp|h|rb|php|cs|kt|swift|sh|sql)\b|\b(?:def|class|import) "
)
_SUCCESS: Final = re.compile(
    r"\bsuccess|\bresolved\b|\bfixed\b|\bcomplete|\bimplemented\b|\bworks\b|\bdone\b|\bfinished\b",
    re.IGNORECASE,
)


def accepted_at_once(talk: Talk) -> Iterator[FailureAnnotation]:
    """Find figures that one computation gave and the one who ran it took without a look (MAST 3.3).

    Sees two agents of which one writes code and the other runs it, and a run that ends with the
    figure that came out, for a task that gives figures of its own, without a word of checking. It
    is surer where the code leaves out a figure of the task or brings one in that nobody gave.
    Cannot see whether the figure is right; where it is, nobody knew.
    """
    found = _one_computation(talk)
    if found is None:
        return
    code, output, final = found
    given = _figures((talk.task or talk.said[0]).text)
    used = _figures(_NAME.sub(" ", _COMMENT.sub("", "\n".join(_CODE.findall(code.text)))))
    if len(given) < 2:
        return
    left_out, brought_in = given - used - _PLAIN, used - given - _PLAIN
    why = ""
    if left_out:
        why = f" The {_plain(min(left_out))} that the task gives is not used in it."
    elif brought_in:
        why = f" It uses a {_plain(min(brought_in))} that the task does not give."
    yield mode_found(
        talk.trace,
        "3.3",
        message=final.message,
        agent=output.sender,
        evidence=quote(final.text),
        explanation=(
            f"{final.sender}'s answer rests on a single computation, and {output.sender} accepts "
            f"it without a check.{why}"
        ),
        confidence=0.7 if why else 0.6,
    )


def _one_computation(talk: Talk) -> tuple[Said, Said, Said] | None:
    """Return the code, its output and the answer that ends the run with it, if that is all."""
    agents = [said for said in talk.said if said.sender != USER]
    if len(agents) < 3 or not talk.ended:
        return None
    code, output, final = agents[-3:]
    if not code.sender == final.sender != output.sender or "```" not in code.text:
        return None
    result = _RESULT.search(output.text.strip()[-300:])
    if result is None or len(output.text) > 600 or fails(output.text):
        return None
    checked = any(_CHECK.search(_CODE.sub("", said.text)) for said in (code, output, final))
    if checked or _value(result["figure"]) not in _figures(final.text):
        return None
    return code, output, final


def _figures(text: str) -> frozenset[float]:
    found = {_value(figure) for figure in _FIGURE.findall(text[:8000])}
    found.update(_SPELT[w] for w in _NAME.findall(text[:8000].lower()) if w in _SPELT)
    return frozenset(found)


def _value(figure: str) -> float:
    return abs(float(figure.replace(",", "")))


def _plain(figure: float) -> str:
    return f"{figure:g}"


def changed_after_the_last_run(talk: Talk) -> Iterator[FailureAnnotation]:
    """Find code that was changed after it was last run, and reported as done (MAST 3.2).

    Sees edits and runs in tool calls and in what agents write, in a team that had run its code
    before, where the last edit of source code comes after the last run and the run ends by
    reporting success. Cannot see a run that did not cover the change.
    """
    final = talk.final
    if final is None or not talk.ended or final.sender == USER:
        return
    if not _SUCCESS.search(final.text) or final.text.rstrip().endswith("?"):
        return
    edit, run = _last(talk, _is_edit), _last(talk, _is_run)
    said_edit, said_run = _last_said(talk, _EDIT_SAID, final), _last_said(talk, _RUN_SAID, final)
    edited = max(edit.start_ns if edit else -1, said_edit.message.sent_at if said_edit else -1)
    ran = max(run.start_ns if run else -1, said_run.message.sent_at if said_run else -1)
    if not 0 <= ran < edited < final.message.sent_at:
        return
    by_call = edit is not None and edit.start_ns == edited
    text = (edit.input or "") if by_call and edit else said_edit.text if said_edit else ""
    yield mode_found(
        talk.trace,
        "3.2",
        span=edit if by_call else None,
        message=None if by_call or not said_edit else said_edit.message,
        evidence=quote(text),
        explanation=(
            f"The code was changed after its last run, and {final.sender} reports it as done."
        ),
        confidence=0.6,
        severity="high",
    )


def _last(talk: Talk, which: Callable[[Span], bool]) -> Span | None:
    return next((span for span in reversed(talk.tools) if which(span)), None)


def _is_edit(span: Span) -> bool:
    edits = _EDITS.search(span.tool or span.name)
    return bool(edits and _SOURCE.search((span.input or "")[:3000]))


def _is_run(span: Span) -> bool:
    return bool(signs.RUNS.search(span.tool or span.name))


def _last_said(talk: Talk, sign: Hinted, final: Said) -> Said | None:
    said = (one for one in reversed(talk.said) if one is not final and one.sender != USER)
    return next((one for one in said if sign.search(one.text[:8000])), None)
