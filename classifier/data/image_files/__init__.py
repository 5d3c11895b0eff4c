"""Image files: formats, limits, decoding and resizing."""
