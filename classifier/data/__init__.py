"""Datasets: LightningDataModules, image files, augmentation, and sampling across processes."""
