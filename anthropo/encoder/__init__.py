"""Aligned regions of a face to embeddings."""
