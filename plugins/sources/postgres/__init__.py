"""What the PostgreSQL source is made of: connection, client tools, psql sessions, dumping, restoring."""
