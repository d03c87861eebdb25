"""A few mails to a new user over several days, depending on what the user does."""
