"""Lightning callbacks: epoch metrics, console output, results files, TensorBoard, checkpoints, weight averaging."""
