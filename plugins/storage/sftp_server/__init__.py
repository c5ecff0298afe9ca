"""What an SFTP destination is made of: the protocol, reading, writing, folders and proofs."""
