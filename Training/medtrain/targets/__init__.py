"""What a network is to answer, drawn from the truth."""
