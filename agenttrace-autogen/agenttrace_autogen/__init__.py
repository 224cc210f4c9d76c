"""AgentTrace."""
