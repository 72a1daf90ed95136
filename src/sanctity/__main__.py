"""``python -m sanctity``."""

from sanctity.cli import main

if __name__ == "__main__":
    main()
