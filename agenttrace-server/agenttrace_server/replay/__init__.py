"""Replay jobs: what is wished for, who can run it, and what would run where nobody can."""
