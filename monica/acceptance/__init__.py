"""The examination of a machine on its first day: what `monica accept` does and writes."""
