"""Where people work: pytest, pre-commit, a workflow, a shell, a notebook."""
