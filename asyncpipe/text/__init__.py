"""Text from outside: masked, made safe to show, formatted."""
