"""The business language all tiers speak; frozen models, no machinery."""
