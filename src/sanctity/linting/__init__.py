"""What is wrong with a lock, and with the project around it: rules over parsed values, one finding at a time."""
