"""Entry points that turn recordings and trained runs into something else."""
