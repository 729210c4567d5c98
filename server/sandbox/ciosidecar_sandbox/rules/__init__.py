"""The effect of each call on a workspace, without HTTP. One topic a file."""
