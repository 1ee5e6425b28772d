"""Connector to Certinia PSA, a package on the Salesforce platform; vendor words may stand here and nowhere above."""
