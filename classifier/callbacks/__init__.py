"""What happens around training: epoch metrics, console, records, TensorBoard, checkpoints, weight averaging."""
