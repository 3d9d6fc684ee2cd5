"""The scan over time: one operation, several implementations."""
