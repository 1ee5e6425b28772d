"""Invoice to cash: payments booked in the ERP settle our invoices, once."""
