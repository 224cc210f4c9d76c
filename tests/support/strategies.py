"""Spans such as Hypothesis thinks of them."""

from hypothesis import strategies as st

from agenttrace.models import RawSpan, Scope, SpanEvent, SpanLink

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_leaf = st.one_of(
    st.none(),
    _text,
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.binary(max_size=20),
)
values = st.recursive(
    _leaf,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=6,
)
attributes = st.dictionaries(_text, values, max_size=4)


def _hex(size: int):
    ids = st.binary(min_size=size, max_size=size)
    return ids.filter(any).map(bytes.hex)


_times = st.integers(1, 2**63 - 1)
_scopes = st.builds(Scope, _text, _text, attributes, _text, attributes)
_events = st.builds(SpanEvent, _text, _times, attributes)
_links = st.builds(SpanLink, _hex(16), _hex(8), attributes, _text, st.integers(0, 2**32 - 1))

raw_spans = st.builds(
    RawSpan,
    trace_id=_hex(16),
    span_id=_hex(8),
    name=_text,
    start_ns=_times,
    end_ns=_times,
    parent_id=st.none() | _hex(8),
    span_kind=st.sampled_from(
        ["unspecified", "internal", "server", "client", "producer", "consumer"]
    ),
    status=st.sampled_from(["unset", "ok", "error"]),
    status_message=_text,
    attributes=attributes,
    events=st.lists(_events, max_size=2).map(tuple),
    links=st.lists(_links, max_size=2).map(tuple),
    scope=_scopes,
    trace_state=_text,
    flags=st.integers(0, 2**32 - 1),
).filter(lambda raw: raw.parent_id != raw.span_id)
