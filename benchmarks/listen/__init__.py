"""What the checks of finished takes find: good takes and damaged ones, by signal, by hearing, and by both."""
