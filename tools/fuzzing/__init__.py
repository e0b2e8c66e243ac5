"""Odd and damaged videos, and what readers make of them."""
