"""Listening: a recogniser hears what was made, and what it understood is compared with what should have been said."""
