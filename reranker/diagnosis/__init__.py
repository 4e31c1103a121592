"""What a ranking model cannot tell apart, and what it goes by that is no reason for a score."""
