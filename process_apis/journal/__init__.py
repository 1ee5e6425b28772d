"""What happened to a deal, one sentence per step, kept for good."""
