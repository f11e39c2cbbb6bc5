"""What operators have beside the engine: the audit, the pause, who waits for another attempt, all at a glance."""
