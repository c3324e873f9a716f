"""Starting, watching, restarting and ending the stages of a run.

Import `supervisor` to run a pipeline, `plan` to find out what a run would be.
"""
