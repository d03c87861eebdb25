"""One file for each optional package; nothing else imports them."""
