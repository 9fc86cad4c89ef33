"""The `wellposed` command."""
