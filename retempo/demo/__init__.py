"""The demonstration: a network trained at 10 ms decides a live stream at 1 ms."""
