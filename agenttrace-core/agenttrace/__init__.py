"""AgentTrace: who said what to whom, which agent broke the run, and what if."""
