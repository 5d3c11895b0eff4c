"""Data sets: LightningDataModules, image files, augmentation, and sampling across processes."""
