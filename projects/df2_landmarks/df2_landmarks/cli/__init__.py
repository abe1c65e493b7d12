"""The commands behind ``df2``, one module each; nothing is imported before a command is chosen."""
