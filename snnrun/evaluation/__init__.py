"""What `snnrun eval` does: trained networks judged again, as they were trained or on changed data."""
