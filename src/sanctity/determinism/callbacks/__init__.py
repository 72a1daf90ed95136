"""Callbacks for trainers: receipt and resume come by themselves. See docs/callbacks.md.

One module a trainer, which imports that trainer: who asks for its callback has asked for it. What they share is in `resuming`.
"""
