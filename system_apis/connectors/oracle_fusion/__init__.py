"""The connector of Oracle Fusion Cloud ERP."""
