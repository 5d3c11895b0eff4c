"""What can be said about data and results: facts, without the command line."""
