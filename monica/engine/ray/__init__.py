"""An engine in other processes, behind Ray Serve's HTTP proxy. Needs no Ray here."""
