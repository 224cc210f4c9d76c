"""Read the spans of LangGraph runs: our own capture's, OpenInference's and OpenLLMetry's."""

from agenttrace import genai
from agenttrace.models import Normalizer, Scope

OWN = "agenttrace.langgraph"


def normalizer_of(scope: Scope) -> Normalizer | None:
    """Return the function that reads a scope's spans, or None if it is not LangGraph's."""
    return genai.read if scope.name == OWN else None
