"""The Salesforce platform as clients of its REST API meet it; objects and their meaning belong to the connectors."""
