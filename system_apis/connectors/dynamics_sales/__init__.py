"""Connector to Dynamics 365 Sales (Dataverse Web API); vendor words may stand here and nowhere above."""
