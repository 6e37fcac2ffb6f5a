"""What a person starts; the only place that prints or exits."""
