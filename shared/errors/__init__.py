"""The error tree every tier shares; nothing else may stand here."""
