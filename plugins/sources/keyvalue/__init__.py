"""What the sources of Redis and Valkey share."""
