"""A replica: an engine with its own scheduler, which speaks for servers in other processes."""
