"""Decide on a payment: an account that already paid three times today has to wait."""

from more_itertools import flatten

#: What the account paid today, in two batches.
BATCHES = [[120, 80], [4900]]

count = len(list(flatten(BATCHES)))
print(f"{'wait' if count >= 3 else 'APPROVED'}: {count} payments today")
