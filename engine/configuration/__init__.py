"""What people configure: saved with its secrets split away, opened, tested."""
