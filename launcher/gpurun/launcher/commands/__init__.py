"""The subcommands: one verb, one file. A file here is a subcommand, and its `command` is it."""
