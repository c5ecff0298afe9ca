"""SSH connections: how one is configured, whom it trusts, how it logs in, and what it carries.

The connection knows nothing of what it is used for; the SFTP storage is one user of it.
"""
