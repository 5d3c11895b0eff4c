"""Commands that are plain functions, for the command line and notebooks alike."""
