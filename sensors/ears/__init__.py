"""Ears turn sound into events of channels: one folder an ear, one line in `registry.EARS`."""
