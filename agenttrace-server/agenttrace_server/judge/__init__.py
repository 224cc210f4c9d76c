"""A model as a judge: what it finds wrong with a run, beside what the rules find."""

from agenttrace_server.judge.budget import DAY_NS
from agenttrace_server.judge.plugin import CLASSIFIER, Judge
from agenttrace_server.judge.terms import Terms, terms

__all__ = ["CLASSIFIER", "DAY_NS", "Judge", "Terms", "terms"]
