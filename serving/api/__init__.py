"""The resources of /v1 and the checks beside them, one file each."""
