"""Put spans together by who recorded them, as OTLP nests them."""

from collections.abc import Iterable, Iterator

from agenttrace.models import RawSpan, Scope
from agenttrace_server import values


def by_resource_and_scope(
    spans: Iterable[RawSpan],
) -> Iterator[tuple[Scope, list[tuple[Scope, list[RawSpan]]]]]:
    """Yield (a scope of the resource, [(scope, its spans)]) per resource, as they first appear."""
    # Spans share scope objects after decoding but not after loading; so compare by what they say.
    keys: dict[int, tuple[str, str]] = {}
    alive: list[Scope] = []
    resources: dict[str, dict[str, tuple[Scope, list[RawSpan]]]] = {}
    for span in spans:
        scope = span.scope
        key = keys.get(id(scope))
        if key is None:
            alive.append(scope)
            own = (scope.name, scope.version, scope.schema_url, dict(scope.attributes))
            key = keys[id(scope)] = (values.dumps(dict(scope.resource)), values.dumps(own))
        scopes = resources.setdefault(key[0], {})
        scopes.setdefault(key[1], (scope, []))[1].append(span)
    for scopes in resources.values():
        groups = list(scopes.values())
        yield groups[0][0], groups
