"""The command line: the table of commands, Lightning's CLI, parsing, and sweeps."""

PROG = "python -m classifier"
