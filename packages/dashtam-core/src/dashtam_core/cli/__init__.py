"""The `dashtam` command."""
