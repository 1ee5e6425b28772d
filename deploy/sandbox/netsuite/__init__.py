"""A simulator of NetSuite's REST Web Services: record/v1, SuiteQL, OAuth 2.0 with signed assertions."""
