"""What the SQLite source is made of: opening files for reading, and putting restored files in place."""
