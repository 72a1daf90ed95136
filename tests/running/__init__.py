"""`run`: programs started in a small sealed environment, by a process of its own each."""
