"""Published datasets, which torchvision downloads."""
