"""What people look at across processes: a deal's journey, key figures, the event log."""
