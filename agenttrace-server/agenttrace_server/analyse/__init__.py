"""Derive agents, messages, the graph and failures from the spans of a trace."""
