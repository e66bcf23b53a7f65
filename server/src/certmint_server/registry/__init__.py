"""Who may hold what, and what was issued to whom."""
