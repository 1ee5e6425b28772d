"""The process tier's typed clients of the system tier; canonical models in and out, no vendor and no rule enters."""
