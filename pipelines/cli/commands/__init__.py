"""One file per command: a module here with a `COMMAND` is on the command line."""
