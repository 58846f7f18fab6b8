"""How formats are written: one file a format, named in the format's row of the registry."""
