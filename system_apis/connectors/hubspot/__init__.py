"""Connector to HubSpot CRM; vendor words may stand here and nowhere above."""
