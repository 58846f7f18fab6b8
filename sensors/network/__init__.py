"""Events that come over a network: AER over UDP, EVT bytes over TCP, dv-processing's TCP."""
