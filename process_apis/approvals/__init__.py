"""Decisions people take: asked for by a run, given by somebody else, kept with what they saw."""
