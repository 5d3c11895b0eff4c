"""Datasets: LightningDataModules, image sources, augmentation, and sampling across processes."""
