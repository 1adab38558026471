"""`make attack`: hostile visitors against a server that is started for it, and what somebody beside them notices."""
