"""What people read about a run: progress while it goes on, a table and a summary afterwards. Made from the store alone."""
