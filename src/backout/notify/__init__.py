"""One message, one target, one result: mail over SMTP, every other channel through apprise."""
