"""Tryton in the sandbox: a real server in an environment of its own, behind a faulty wire."""
