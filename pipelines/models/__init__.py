"""Models: what exists (registry), where it lies (download, store), and where it runs (placement, cache)."""
