"""Time to bill: approved work becomes invoices; every hour stands on one invoice or in a named state."""
