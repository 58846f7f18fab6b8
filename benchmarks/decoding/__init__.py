"""Decoding and fused binning of EVT recordings against the packages that decode them, too."""
