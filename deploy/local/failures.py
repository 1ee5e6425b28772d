"""How the main job ends when it cannot go on; one root, so that the command can tell it from a defect."""

from __future__ import annotations


class JobFailed(Exception):
    """The main job stopped; the message says where and why, in a sentence for people."""
