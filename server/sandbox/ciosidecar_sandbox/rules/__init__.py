"""What each call does to a workspace behind its 200, a topic a file. No HTTP in here."""
