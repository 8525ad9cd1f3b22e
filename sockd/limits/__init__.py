"""Who may come in, and how much they may have. Pure: time and addresses are handed in."""
