"""Growing a head: tasks, a small attention-only model, its recorded runs, and trainings that visitors watch.

No page and no HTTP: records go out, settings come in.
"""
