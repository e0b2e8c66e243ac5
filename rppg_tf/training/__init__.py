"""Training: objective, losses, the best epoch, replicas."""
