"""What people are told in words: in the log, at the start, and in the lesson."""
