"""Connector to Salesforce Sales Cloud; vendor words may stand here and nowhere above."""
