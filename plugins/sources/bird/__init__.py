"""What the Firebird source is made of: its tools, what they say, and files that change places."""
