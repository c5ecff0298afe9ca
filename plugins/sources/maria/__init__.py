"""MariaDB and MySQL: one family, of which each adapter is a name and a choice of tools."""
