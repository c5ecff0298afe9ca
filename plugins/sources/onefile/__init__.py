"""What databases of one file share: their names, and putting a restored file in place."""
