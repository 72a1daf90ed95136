"""The lab: why a lock, a seal and a look at bytes matter, shown on real packages in a folder of its own.

`catalogue` names the wheels, `index` serves them from this machine, `place` is the folder with its tools, `steps` is what is done
and what must come of it, `telling` does it in order; `text`, `page` and `document` draw what came of it.
"""
