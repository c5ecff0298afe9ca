"""What lies at a destination: artifacts, what stands beside them and who wrote it, and the backups there."""
