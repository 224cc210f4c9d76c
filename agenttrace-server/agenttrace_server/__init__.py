"""The AgentTrace server: receive, store, analyse, show."""
