"""Raw data to our columns. Upstream names end here."""
