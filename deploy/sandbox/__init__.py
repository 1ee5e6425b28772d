"""Simulators that speak the vendors' wire, one folder a vendor, and the sample firm."""
