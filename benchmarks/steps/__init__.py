"""What each step on the way of a message costs, measured inside one process."""
