"""SVOX Pico: a natural voice for five languages, in a small process of its own. No download, no accelerator."""
