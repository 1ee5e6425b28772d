"""What changed between two releases of an API document, and whether callers have to care; documents enter, no tier."""
