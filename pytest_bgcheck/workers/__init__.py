"""What only exists because of xdist's workers."""
