"""A vocabulary numbered in the order of a set: another with each hash seed."""

import json
from pathlib import Path

words = {"cat", "dog", "bird", "fish", "horse", "cow", "hen", "goat"}
Path("out").mkdir(exist_ok=True)
Path("out/vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
Path("out/size.txt").write_text(f"{len(words)}\n")
