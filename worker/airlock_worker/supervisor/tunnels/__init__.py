"""The connections of runs to the egress service, through the supervisor."""
