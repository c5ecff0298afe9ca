"""The parts of the S3 storage, one idea a module. What imports botocore is imported only when it is used.

`settings` (the fields), `keys` (names and object keys), `parts` (how large, and from where) are light;
`wire` (sockets that a cancel can reach), `client` (credentials, botocore's client), `errors`, `link` (one
adapter's calls), `upload`, `proof`, `versions` and `checking` need botocore.
"""
