"""Journeys: Arazzo documents checked against our OpenAPI documents and walked in a running house."""
