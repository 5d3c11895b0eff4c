"""Networks: the common LightningModule, its optimizer and metrics, and one file per network."""
