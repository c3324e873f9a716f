"""Encoders and decoders: settings, low latency, and the choice of graphics hardware.

Import `encoding` and `frame_encoder` to encode, `hardware` to choose a codec.
"""
