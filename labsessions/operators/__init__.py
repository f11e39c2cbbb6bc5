"""What operators' actions need beside the engine: the audit, the pause, and who waits for another attempt."""
