"""The clock of a tournament: its levels, and what is said of them to the second."""
