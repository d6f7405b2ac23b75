"""Which tokens a query may see: one file for each kind."""
