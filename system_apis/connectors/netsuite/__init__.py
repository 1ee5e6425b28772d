"""Connector to Oracle NetSuite (REST Web Services, SuiteQL)."""
