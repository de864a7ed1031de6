"""What a suite declares and wants."""
