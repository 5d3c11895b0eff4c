"""The user's own images: how they are found, split, decoded once and cached."""
