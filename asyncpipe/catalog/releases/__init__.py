"""What people decide about versions: channels and their history, revocations."""
