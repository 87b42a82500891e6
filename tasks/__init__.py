"""Do the work of a flow: the task types, files in and out, and the runners that start programs."""
