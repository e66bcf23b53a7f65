"""The registry's database: SQLite or PostgreSQL. SQL is spoken here only."""
