"""From a won deal to an active project: checked, approved, set up in PSA and ERP, told to the CRM."""
