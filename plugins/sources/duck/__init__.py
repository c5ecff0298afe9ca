"""What the DuckDB source is made of: opening a file, exporting it, and building one from an export."""
