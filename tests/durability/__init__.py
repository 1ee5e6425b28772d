"""Breaks the ground under a whole house and counts at the vendors; failed counts are told in full."""

import pytest

pytest.register_assert_rewrite("tests.durability.auditor", "tests.durability.shift")
